"""Matches regular expressions from settings and permissions in bounded time, without blocking the event loop."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import structlog

from app.core.cache import LRUCache
from app.core.ecmascript_regex import InvalidRegex, MatchLimitExceeded, Regex, unwrap
from app.core.errors import InvalidPayload, ServiceUnavailable
from app.core.request_budget import RequestBudget
from app.core.threads import lower_thread_priority

T = TypeVar("T")

INLINE_SECONDS = 0.001
"""How long one match may block the event loop. Most take a microsecond, and a thread would cost a hundred."""
SLOW_SECONDS = INLINE_SECONDS / 4
"""After a match that took longer, the next one of the same regular expression is run in a thread."""
MATCH_SECONDS = 0.1
MAX_INLINE_SOURCE_LENGTH, MAX_INLINE_TEXT_LENGTH = 200, 10_000
"""In characters; a longer source is compiled, and a longer text matched, in a thread."""
MAX_TEXT_LENGTH = 1_000_000
"""In characters. A text is copied and scanned once without a time limit, which takes 10 ms at this length."""
MATCH_THREADS, MAX_WAITING = 2, 32
MAX_CACHED_LENGTH = 65_536
"""Characters of all cached sources together; compiled, one takes up to 200 bytes."""
TOO_MANY_WAITING_MESSAGE = "Too many values are waiting to be matched with a regular expression; try again later"

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _CachedRegex:
    regex: Regex
    is_slow: bool = False


class RegexMatcher:
    """Matches texts with regular expressions as Directus stores them: the source, or the source between slashes."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(MATCH_THREADS, "regex", initializer=lower_thread_priority)
        self._cache: LRUCache[str, _CachedRegex] = LRUCache(MAX_CACHED_LENGTH)
        self._pending = 0

    async def check(self, pattern: str, budget: RequestBudget) -> None:
        """Raise InvalidRegex if a pattern cannot be compiled; other errors as `matches`."""
        await self._compiled(pattern, budget)

    async def matches(self, pattern: str, text: str, name: str, budget: RequestBudget) -> bool:
        """Return whether some part of a text, the value of the field `name`, matches a stored pattern.

        Raises:
            InvalidRegex: The pattern cannot be compiled.
            InvalidPayload: The text is too long, or the match takes longer than one match or one request may.
            ServiceUnavailable: Too many other matches are waiting.
        """
        if len(text) > MAX_TEXT_LENGTH:
            raise InvalidPayload(
                f'"{name}" has {len(text)} characters; it is matched with a regular expression, which allows at most '
                f"{MAX_TEXT_LENGTH}"
            )
        try:
            cached = await self._compiled(pattern, budget)
        except InvalidRegex:
            log.warning("regex_invalid", field=name)
            raise
        if not cached.is_slow and len(text) <= MAX_INLINE_TEXT_LENGTH:
            result = _test(cached, text, INLINE_SECONDS, budget)
            if result is not None:
                return result
        budget.check_regex_seconds()
        limit = min(MATCH_SECONDS, budget.regex_seconds)
        result = await self._run(lambda: _test(cached, text, limit, budget))
        if result is None:
            log.warning("regex_match_aborted", field=name)
            budget.check_regex_seconds()
            raise InvalidPayload(
                f'"{name}" takes longer than {MATCH_SECONDS * 1000:.0f} ms to match with its regular expression; '
                "send a shorter value, or ask an admin to simplify the expression"
            )
        return result

    async def _compiled(self, pattern: str, budget: RequestBudget) -> _CachedRegex:
        cached = self._cache.get(pattern, None)
        if cached is not None:
            return cached
        budget.check_regex_seconds()
        if len(pattern) <= MAX_INLINE_SOURCE_LENGTH:
            cached = _compile(pattern, budget)
        else:
            cached = await self._run(lambda: _compile(pattern, budget))
        return self._cache.set(pattern, cached, 1 + len(pattern))

    async def _run(self, work: Callable[[], T]) -> T:
        if self._pending >= MATCH_THREADS + MAX_WAITING:
            raise ServiceUnavailable(TOO_MANY_WAITING_MESSAGE)
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._pending -= 1


def _compile(pattern: str, budget: RequestBudget) -> _CachedRegex:
    started = time.perf_counter()
    try:
        return _CachedRegex(Regex(unwrap(pattern)))
    finally:
        budget.regex_seconds -= time.perf_counter() - started


def _test(cached: _CachedRegex, text: str, seconds: float, budget: RequestBudget) -> bool | None:
    """Return whether a text matches; None if that takes longer than `seconds`."""
    started = time.perf_counter()
    try:
        return cached.regex.test(text, seconds)
    except MatchLimitExceeded:
        return None
    finally:
        elapsed = time.perf_counter() - started
        budget.regex_seconds -= elapsed
        cached.is_slow = elapsed > SLOW_SECONDS
