"""Requests to a Directus that uses the same database."""
