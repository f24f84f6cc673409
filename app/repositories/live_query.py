"""A live query: what one caller may see of a collection, read again after each commit that may have changed it."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from functools import cached_property
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Text, cast, select

from app.core.errors import Forbidden
from app.db.models import VERSION
from app.policy.access_queries import NOW
from app.policy.resolver import LiveScope, PolicyResolver
from app.policy.rules import Access
from app.query.collection import Collection
from app.query.limits import check_complexity
from app.query.payload import parse_key
from app.query.read import Read
from app.query.results import Row, row_decoder
from app.query.scoped import TRUE, CallerLookup, ScopedRead, ScopedRelation
from app.query.sql_select import build_select
from app.repositories.services import Services
from app.repositories.stores.events import MAX_UNREAD_OWNERS, UNREAD_OWNERS


class LiveRows(NamedTuple):
    """The rows that a live query found, and what else was true at that moment.

    `version` is that of all rights. `owners` are users whose access may have changed after the events that were read;
    None means that it may be that of everyone.
    """

    rows: list[Row]
    version: str
    owners: frozenset[str] | None


class LiveQuery:
    """A query with its caller's policies in it, compiled once. Its scope is what distinguishes it from others."""

    def __init__(self, read: Read, access: Access, services: Services, max_rows: int) -> None:
        """Scope a read.

        Raises:
            Forbidden: The caller may not read the collection, or may read one of the fields on no row.
            InvalidQuery: The query exceeds a limit.
        """
        check_complexity(read, services.limits.max_depth)
        self._services, self.collection = services, read.collection
        self.scope: LiveScope = PolicyResolver(access, NOW).scope_live(read, max_rows)
        self.shows_everything = access.admin and self.scope.rows.where == TRUE
        """Whether the caller sees every field of every row, so that the action of an event says all about it."""

    @cached_property
    def dependencies(self) -> frozenset[str]:
        """The names of other collections whose rows decide what the query shows, and of this one if nested in it."""
        return frozenset(collection.name for collection in _related(self.scope.rows, outermost=True))

    @cached_property
    def users(self) -> frozenset[str]:
        """The keys of users whose own rows are looked up by the rules."""
        return frozenset(str(lookup.user) for lookup in _lookups(self.scope.rows))

    async def read_all(self, mark: str) -> LiveRows:
        """Return all rows; raises as `read`."""
        return await self._fetch(self._all, {"mark": mark})

    async def read(self, keys: Sequence[str], mark: str) -> LiveRows:
        """Return the rows with these keys, and the owners in events after the mark of a position.

        Raises:
            ServiceUnavailable: The database is unavailable.
            SchemaChanged: The fields of the directory have changed.
        """
        return await self._fetch(self._by_keys, {"mark": mark, "keys": list(self._parsed(keys))})

    @cached_property
    def _all(self) -> Any:
        return self._compile(self.scope.rows)

    @cached_property
    def _by_keys(self) -> Any:
        return self._compile(self.scope.by_keys)

    def _compile(self, scoped: ScopedRead) -> Any:
        owners: Any = UNREAD_OWNERS[self._services.dialect]
        statement = select(cast(VERSION.c.token, Text), owners, build_select(scoped)).select_from(VERSION)
        return self._services.reader.compile(statement)

    async def _fetch(self, statement: Any, bindings: dict[str, Any]) -> LiveRows:
        values = {**bindings, "now": self._services.clock()}
        # Without an owner it runs on the primary: a replica may not have applied the commit yet.
        version, unread, rows = await self._services.reader.fetch_one(statement, values)
        owners = orjson.loads(unread or "[]")
        everyone = None in owners or len(owners) >= MAX_UNREAD_OWNERS
        return LiveRows(self._decode(rows), version, None if everyone else frozenset(owners))

    @cached_property
    def _decode(self) -> Any:
        return row_decoder(self.scope.rows)

    def _parsed(self, keys: Sequence[str]) -> Iterator[Any]:
        for key in keys:
            try:
                yield parse_key(self.collection, key)
            except Forbidden:
                continue


def _related(node: Any, *, outermost: bool = False) -> Iterator[Collection]:
    """Yield the collections that a scoped query reads, except the one whose rows it returns."""
    if isinstance(node, ScopedRead) and not outermost:
        yield node.collection
    if isinstance(node, ScopedRelation):
        yield node.target
    for part in _parts(node):
        yield from _related(part)


def _lookups(node: Any) -> Iterator[CallerLookup]:
    if isinstance(node, CallerLookup):
        yield node
    for part in _parts(node):
        yield from _lookups(part)


def _parts(node: Any) -> Iterator[Any]:
    """Yield the parts of a scoped query below a node; collections and fields are not parts of it."""
    if isinstance(node, tuple):
        yield from node
    elif is_dataclass(node) and type(node).__module__ == ScopedRead.__module__:
        yield from (getattr(node, field.name) for field in fields(node))
