"""Which root fields a caller may use before setting up two-factor authentication, if a policy enforces it."""

from collections.abc import Mapping

from app.flows.tfa_policy import OPERATIONS_BEFORE_TFA, FlowOperation
from app.graphql.documents.operation import Operation

ROOT_TYPES = ("Query", "Mutation", "Subscription")
SCHEMA_FIELDS = frozenset({"Query._empty", "Query.__schema", "Query.__type"})
"""Root fields that are no operation: introspection shows such a caller no more than an anonymous one."""
OPERATION_OF_FIELD: Mapping[str, FlowOperation] = {
    "Query.access_explain": FlowOperation.EXPLAIN_ACCESS,
    "Query.access_who_can": FlowOperation.FIND_WHO_CAN,
    "Query.server_health": FlowOperation.SERVER_HEALTH,
    "Query.server_info": FlowOperation.SERVER_INFO,
    "Query.server_ping": FlowOperation.PING,
    "Query.server_specs_graphql": FlowOperation.GRAPHQL_SDL,
    "Query.server_specs_oas": FlowOperation.OPENAPI_DOCUMENT,
    "Mutation.access_simulate": FlowOperation.SIMULATE_ACCESS,
    "Mutation.auth_login": FlowOperation.LOGIN,
    "Mutation.auth_logout": FlowOperation.LOGOUT,
    "Mutation.auth_passkey_login": FlowOperation.LOGIN_WITH_PASSKEY,
    "Mutation.auth_passkey_options": FlowOperation.GET_PASSKEY_OPTIONS,
    "Mutation.auth_password_request": FlowOperation.REQUEST_PASSWORD_RESET,
    "Mutation.auth_password_reset": FlowOperation.RESET_PASSWORD,
    "Mutation.auth_refresh": FlowOperation.REFRESH,
    "Mutation.users_invite": FlowOperation.INVITE,
    "Mutation.users_invite_accept": FlowOperation.ACCEPT_INVITATION,
    "Mutation.users_invite_revoke": FlowOperation.REVOKE_INVITATION,
    "Mutation.users_me_passkeys_create": FlowOperation.REGISTER_PASSKEY,
    "Mutation.users_me_passkeys_options": FlowOperation.GET_PASSKEY_REGISTRATION_OPTIONS,
    "Mutation.users_me_tfa_disable": FlowOperation.DISABLE_TFA,
    "Mutation.users_me_tfa_enable": FlowOperation.ENABLE_TFA,
    "Mutation.users_me_tfa_generate": FlowOperation.GENERATE_TFA_SECRET,
    "Mutation.users_me_tfa_recovery_codes": FlowOperation.CREATE_RECOVERY_CODES,
    "Mutation.users_register": FlowOperation.REGISTER,
    "Mutation.users_register_verify": FlowOperation.VERIFY_REGISTRATION,
    "Mutation.utils_cache_clear": FlowOperation.CLEAR_CACHE,
    "Mutation.utils_hash_generate": FlowOperation.GENERATE_HASH,
    "Mutation.utils_hash_verify": FlowOperation.VERIFY_HASH,
    "Mutation.utils_random_string": FlowOperation.RANDOM_STRING,
}
FIELDS_BEFORE_TFA = SCHEMA_FIELDS | {
    field for field, operation in OPERATION_OF_FIELD.items() if operation in OPERATIONS_BEFORE_TFA
}
"""Root fields available to such a caller; all others, also unknown ones, are not."""


def requires_completed_tfa(operation: Operation) -> bool:
    """Return whether a document has root fields, existing or not, that aren't available before TFA setup."""
    root_fields = (name for name in operation.coordinates if name.partition(".")[0] in ROOT_TYPES and "." in name)
    return not FIELDS_BEFORE_TFA.issuperset(root_fields)
