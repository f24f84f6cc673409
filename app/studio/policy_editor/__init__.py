"""The forms of policies and of their permissions: their values, their checks, and what the caller may change."""
