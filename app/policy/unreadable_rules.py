"""Warnings about stored rules that can't be read: the filter, validation or presets of a permission."""

import orjson
import structlog

from app.core.cache import LRUCache
from app.core.errors import RollcallError
from app.query.filter import UnknownField

PARSE_ERRORS = (RollcallError, ValueError, TypeError, RecursionError)
"""The exceptions that parsing a stored rule raises if it is malformed."""
MAX_LOGGED_IDS = 4096
"""Maximum number of rules that are remembered as logged."""
MAX_REASON_LENGTH = 300

log = structlog.get_logger(__name__)


class UnreadableRuleLog:
    """Logs each unreadable rule once per process, not each time that the access of one of its callers is loaded.

    A rule is logged again if the reason changes, for example because an attempt to correct it failed.
    """

    def __init__(self) -> None:
        self._reasons: LRUCache[int | str, str] = LRUCache(MAX_LOGGED_IDS)

    def report(self, permission: int | str, collection: str, action: str, reason: str) -> None:
        """Log a rule by the id of its permission, or by another name that is unique."""
        if self._reasons.get(permission, None) != reason:
            self._reasons.set(permission, reason)
            log.warning(
                "permission_rule_unreadable", permission=permission, collection=collection, action=action, reason=reason
            )


class SilentRuleLog(UnreadableRuleLog):
    """Logs nothing: for rules that are only simulated."""

    def report(self, permission: int | str, collection: str, action: str, reason: str) -> None:
        """Ignore a rule."""


def unreadable_reason(error: Exception) -> str:
    """Return why a rule can't be read. The text names fields, operators and variables, but contains no values."""
    match error:
        case UnknownField():
            reason = f'"{error.collection.name}" has no field "{error.name}"'
        case RollcallError():
            reason = error.reason or error.message
        case orjson.JSONDecodeError():
            reason = "not valid JSON"
        case RecursionError():
            reason = "too deeply nested"
        case _:
            reason = "not a valid filter"
    return reason[:MAX_REASON_LENGTH]
