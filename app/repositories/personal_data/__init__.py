"""What the database holds about a person: read as a document, and erased."""
