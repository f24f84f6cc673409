"""The pages of roles and their users."""
