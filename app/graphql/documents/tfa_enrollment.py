"""What may be asked by those who have to set up a second factor first: that, and what anybody may."""

from app.graphql.documents.operation import Operation

ROOTS = {
    "Query": (
        "_empty",
        "server_health",
        "server_info",
        "server_ping",
        "server_specs_graphql",
        "server_specs_oas",
        "__schema",
        "__type",
    ),
    "Mutation": (
        "auth_login",
        "auth_logout",
        "auth_password_request",
        "auth_password_reset",
        "auth_refresh",
        "users_invite_accept",
        "users_me_tfa_enable",
        "users_me_tfa_generate",
        "users_register",
        "users_register_verify",
        "utils_hash_generate",
        "utils_hash_verify",
        "utils_random_string",
    ),
}
FIELDS_BEFORE_TFA = frozenset(f"{root}.{name}" for root, names in ROOTS.items() for name in names)
"""Root fields that are open to them; a new one isn't, until it stands here."""


def requires_completed_tfa(operation: Operation) -> bool:
    """Whether a document has other root fields, those that there aren't included."""
    touched = (name for name in operation.coordinates if name.partition(".")[0] in ROOTS and "." in name)
    return not FIELDS_BEFORE_TFA.issuperset(touched)
