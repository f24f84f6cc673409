"""The pages of visitors: signing in, and what mailed links lead to."""
