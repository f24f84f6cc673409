"""An LDAP directory that does not exist, for tests that need a provider and never sign in with it."""

from app.core.auth_providers import load_providers

SETTINGS = {
    "DRIVER": "ldap",
    "CLIENT_URL": "ldap://127.0.0.1:1",  # nothing listens there
    "BIND_DN": "cn=searcher,dc=example,dc=com",
    "BIND_PASSWORD": "not needed",
    "USER_DN": "dc=example,dc=com",
}


def unreachable_directory(name):
    """Return the providers of a server whose only one is a directory of this name."""
    return load_providers([name], {f"AUTH_{name.upper()}_{key}": value for key, value in SETTINGS.items()})
