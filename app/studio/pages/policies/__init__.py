"""The pages of policies and permissions."""
