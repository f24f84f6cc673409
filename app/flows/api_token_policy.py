"""Which operations a caller with a read-only API token may use: those that write nothing."""

from app.flows.tfa_policy import SERVER_OPERATIONS, FlowOperation

READING_OPERATIONS = SERVER_OPERATIONS | {
    FlowOperation.LIST_AUTH_PROVIDERS,
    FlowOperation.RANDOM_STRING,
    FlowOperation.GENERATE_HASH,
    FlowOperation.VERIFY_HASH,
    FlowOperation.EXPLAIN_ACCESS,
    FlowOperation.FIND_WHO_CAN,
}
READING_METHODS = frozenset({"GET", "HEAD", "SEARCH", "OPTIONS"})
"""The methods of HTTP that write nothing, wherever no operation says more."""
