"""Sensitive mutations, of which a request may contain only one, because their rate limits count requests."""

from collections.abc import Mapping

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
)

from app.graphql.documents.operation import Operation

SENSITIVE_MUTATIONS = frozenset(
    {
        "auth_login",
        "auth_passkey_login",
        "auth_refresh",
        "auth_password_request",
        "auth_password_reset",
        "users_invite",
        "users_invite_accept",
        "users_register",
        "users_register_verify",
        "users_me_tfa_generate",
        "users_me_tfa_enable",
        "users_me_tfa_disable",
        "users_me_tfa_recovery_codes",
        "users_me_passkeys_options",
        "users_me_passkeys_create",
        "users_me_passkeys_revoke",
        "utils_hash_generate",
        "utils_hash_verify",
    }
)
MULTIPLE_SENSITIVE_MESSAGE = (
    f"A request may contain only one of these mutations: {', '.join(sorted(SENSITIVE_MUTATIONS))}."
)


def check_single_sensitive(operation: Operation) -> list[GraphQLError]:
    """Return an error if an operation contains more than one of them, also if aliased or skipped by a directive."""
    definition = operation.definition
    if definition is None or definition.operation is not OperationType.MUTATION:
        return []
    fragments = {
        node.name.value: node.selection_set
        for node in operation.document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    fields = _first_sensitive(definition.selection_set, fragments, {})
    return [GraphQLError(MULTIPLE_SENSITIVE_MESSAGE, fields[1])] if len(fields) > 1 else []


def holds_mutations(document: DocumentNode) -> bool:
    """Return whether any operation of a document may write, and so contain a password."""
    operations = (node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    return any(operation.operation is not OperationType.QUERY for operation in operations)


def _first_sensitive(
    selections: SelectionSetNode, fragments: Mapping[str, SelectionSetNode], known: dict[str, list[FieldNode]]
) -> list[FieldNode]:
    """Return the first two sensitive fields. A fragment counts each time it is spread; `known` caches its fields."""
    fields: list[FieldNode] = []
    for node in selections.selections:
        if isinstance(node, FieldNode):
            fields += [node] if node.name.value in SENSITIVE_MUTATIONS else []
        elif isinstance(node, FragmentSpreadNode):
            name = node.name.value
            if name not in known:
                known[name] = []  # ends a cycle, which validation rejects
                known[name] = _first_sensitive(fragments[name], fragments, known) if name in fragments else []
            fields += known[name]
        else:
            fields += _first_sensitive(node.selection_set, fragments, known)  # type: ignore[attr-defined]  # an inline fragment
    return fields[:2]
