"""GraphQL documents: parsing, normalization and checks."""
