"""Storage of file contents; the rows that refer to them belong to the repositories."""
