"""Which root fields a caller with a read-only API token may use."""

from app.flows.api_token_policy import READING_OPERATIONS
from app.graphql.documents.operation import Operation
from app.graphql.documents.tfa_enrollment import OPERATION_OF_FIELD

READING_MUTATIONS = frozenset(
    field for field, operation in OPERATION_OF_FIELD.items() if operation in READING_OPERATIONS
)
"""Mutations that write nothing."""


def writes(operation: Operation) -> bool:
    """Return whether a document has mutations, existing or not, that may write."""
    mutations = {name for name in operation.coordinates if name.startswith("Mutation.")}
    return not READING_MUTATIONS.issuperset(mutations)
