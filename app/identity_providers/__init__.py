"""Clients of the authentication providers: OpenID Connect and OAuth 2."""
