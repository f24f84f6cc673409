"""Sign-in with the account of another service, through OpenID Connect or OAuth 2."""
