"""The pages of the project's settings."""
