"""Generates passwords for users who did not choose one."""

import secrets

RANDOM_BYTES = 12
"""Random bytes of a generated password, which has 16 characters."""


def generate_password(min_length: int = 0) -> str:
    """Return a random password of at least 16 and at least `min_length` characters."""
    return secrets.token_urlsafe(max(RANDOM_BYTES, min_length * 3 // 4 + 1))
