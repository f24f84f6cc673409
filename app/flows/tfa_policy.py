"""Which operations a caller may use before setting up two-factor authentication, if a policy enforces it.

REST and GraphQL each map their own names to these operations. What has no name here isn't available before.
"""

from enum import Enum, auto


class FlowOperation(Enum):
    """An operation of the account flows or about the server, whichever entry point it is called through."""

    PING = auto()
    SERVER_INFO = auto()
    SERVER_HEALTH = auto()
    GRAPHQL_SDL = auto()
    OPENAPI_DOCUMENT = auto()

    LIST_AUTH_PROVIDERS = auto()
    LOGIN = auto()
    LOGIN_WITH_PROVIDER = auto()
    GET_PASSKEY_OPTIONS = auto()
    LOGIN_WITH_PASSKEY = auto()
    REFRESH = auto()
    LOGOUT = auto()
    REQUEST_PASSWORD_RESET = auto()
    RESET_PASSWORD = auto()
    ACCEPT_INVITATION = auto()
    REGISTER = auto()
    VERIFY_REGISTRATION = auto()
    RANDOM_STRING = auto()
    GENERATE_HASH = auto()
    VERIFY_HASH = auto()

    GENERATE_TFA_SECRET = auto()
    ENABLE_TFA = auto()
    GET_PASSKEY_REGISTRATION_OPTIONS = auto()
    REGISTER_PASSKEY = auto()

    DISABLE_TFA = auto()
    CREATE_RECOVERY_CODES = auto()
    INVITE = auto()
    REVOKE_INVITATION = auto()
    CLEAR_CACHE = auto()
    EXPLAIN_ACCESS = auto()
    SIMULATE_ACCESS = auto()
    FIND_WHO_CAN = auto()


SERVER_OPERATIONS = frozenset(
    {
        FlowOperation.PING,
        FlowOperation.SERVER_INFO,
        FlowOperation.SERVER_HEALTH,
        FlowOperation.GRAPHQL_SDL,
        FlowOperation.OPENAPI_DOCUMENT,
    }
)
ANONYMOUS_FLOWS = frozenset(
    {
        FlowOperation.LIST_AUTH_PROVIDERS,
        FlowOperation.LOGIN,
        FlowOperation.LOGIN_WITH_PROVIDER,
        FlowOperation.GET_PASSKEY_OPTIONS,
        FlowOperation.LOGIN_WITH_PASSKEY,
        FlowOperation.REFRESH,
        FlowOperation.LOGOUT,
        FlowOperation.REQUEST_PASSWORD_RESET,
        FlowOperation.RESET_PASSWORD,
        FlowOperation.ACCEPT_INVITATION,
        FlowOperation.REGISTER,
        FlowOperation.VERIFY_REGISTRATION,
        FlowOperation.RANDOM_STRING,
        FlowOperation.GENERATE_HASH,
        FlowOperation.VERIFY_HASH,
    }
)
"""Flows that need no session: they start or end one, use a mailed token instead, or compute something."""
TFA_SETUP = frozenset(
    {
        FlowOperation.GENERATE_TFA_SECRET,
        FlowOperation.ENABLE_TFA,
        FlowOperation.GET_PASSKEY_REGISTRATION_OPTIONS,
        FlowOperation.REGISTER_PASSKEY,
    }
)
OPERATIONS_BEFORE_TFA = SERVER_OPERATIONS | ANONYMOUS_FLOWS | TFA_SETUP
"""What a caller who has to set up two-factor authentication first may do: that, and what anonymous callers may."""
