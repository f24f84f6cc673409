"""GraphQL documents: parsing, normalization, checks."""
