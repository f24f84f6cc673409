"""Rollcall: a user directory server, compatible with Directus 11."""

__version__ = "0.1.0"
