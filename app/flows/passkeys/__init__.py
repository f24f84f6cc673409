"""Passkeys: registered by their users, and used to sign in, alone or as the second factor."""
