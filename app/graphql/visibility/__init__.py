"""Visibility: which part of the schema a caller sees."""
