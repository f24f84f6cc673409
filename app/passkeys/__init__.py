"""Passkeys: the ceremonies of WebAuthn, without their storage."""
