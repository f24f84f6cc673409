"""Resolvers of the root fields."""
