"""Strawberry types built from the registry."""
