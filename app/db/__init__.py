"""The database: connection pools, transactions, models and migrations."""
