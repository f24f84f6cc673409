"""The part of the schema a caller sees."""
