"""Mutations of which one request may have a single one: what is counted by requests can't be had by the dozen."""

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

SENSITIVE = frozenset(
    {
        "auth_login",
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
        "utils_hash_generate",
        "utils_hash_verify",
    }
)
TOLD = f"One request may have a single one of these mutations: {', '.join(sorted(SENSITIVE))}."


def check_single_sensitive(operation: Operation) -> list[GraphQLError]:
    """What is wrong with an operation that has more than one of them, however they are spelled or left out again."""
    definition = operation.definition
    if definition is None or definition.operation is not OperationType.MUTATION:
        return []
    fragments = {
        node.name.value: node.selection_set
        for node in operation.document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    found = _found(definition.selection_set, fragments, {})
    return [GraphQLError(TOLD, found[1])] if len(found) > 1 else []


def holds_mutations(document: DocumentNode) -> bool:
    """Whether a document could change something, whichever of its operations is run: then it may hold a password."""
    operations = (node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    return any(operation.operation is not OperationType.QUERY for operation in operations)


def _found(
    selections: SelectionSetNode, fragments: Mapping[str, SelectionSetNode], known: dict[str, list[FieldNode]]
) -> list[FieldNode]:
    """The first two sensitive fields among these; what is spread again counts again, and is looked through once."""
    found: list[FieldNode] = []
    for node in selections.selections:
        if isinstance(node, FieldNode):
            found += [node] if node.name.value in SENSITIVE else []
        elif isinstance(node, FragmentSpreadNode):
            name = node.name.value
            if name not in known:
                known[name] = []  # a cycle ends here; validation refuses it
                known[name] = _found(fragments[name], fragments, known) if name in fragments else []
            found += known[name]
        else:
            found += _found(node.selection_set, fragments, known)  # type: ignore[attr-defined]  # an inline fragment
    return found[:2]
