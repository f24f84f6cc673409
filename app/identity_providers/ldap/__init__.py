"""A client of LDAP directories (RFC 4511)."""
