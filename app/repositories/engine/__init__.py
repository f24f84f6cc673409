"""Generic reads and writes of any collection."""
