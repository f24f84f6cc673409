"""Strawberry types, built from the registry of collections."""
