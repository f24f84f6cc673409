"""Repositories: read and write the rows of a collection on behalf of one caller."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Text, cast, select

from app.core.caller import Caller, ClientInfoFactory, no_client_info
from app.core.email_addresses import email_spellings
from app.core.errors import Forbidden, InvalidQuery
from app.core.request_budget import RequestBudget
from app.core.values import is_storable
from app.db.statement import bind_param
from app.policy.rules import Access
from app.query.aggregate import Aggregation
from app.query.collection import USERS, Collection
from app.query.filter import compare
from app.query.parameters import QueryParser, is_grouped
from app.query.payload import Payload, parse_key, parse_payload
from app.query.read import FieldSelection, Read
from app.query.results import Row
from app.query.sql_functions import EmailEquals, JSONRows
from app.repositories.engine.commands import (
    Create,
    Delete,
    RawValues,
    Update,
    UpdateEach,
    UpdateSingleton,
    Upsert,
    check_count,
    check_keys,
)
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.engine.writing import ResultReader, WriteRepository
from app.repositories.rules.registry import DIRECTORY_RULES
from app.repositories.services import Services

Query = Mapping[str, Any]
"""Directus' global query parameters: `fields filter sort limit offset page search alias deep aggregate groupBy`."""


def returning(repository: "Repository", build_query: Callable[[Access], Read]) -> ResultReader[list[Row]]:
    """Return a reader of the written rows, as far as the caller may see them.

    `build_query` returns the query for an access; the reader yields None if the caller may read no row at all.
    """

    async def read_written(work: UnitOfWork, keys: list[Any]) -> list[Row] | None:
        if not work.access.granted("read", repository.collection):
            return None
        return await work.read_back(repository.restricted_to(build_query(work.access), keys), keys)

    return read_written


class Repository(WriteRepository):
    """The rows of a collection that one caller can see and change.

    Every method raises as `read`. A method that writes is one transaction, of which either everything takes effect or
    nothing, and raises in addition:

    Raises:
        Forbidden: The caller may not write or grant this, or a row to change does not exist.
        InvalidPayload, FailedValidation: The values cannot be written; also their relatives, such as ValueTooLong.
        UnprocessableContent, LimitExceeded: The directory would break a rule, such as keeping an admin.
    """

    def __init__(
        self,
        collection: Collection,
        caller: Caller,
        services: Services,
        client_info: ClientInfoFactory = no_client_info,
        budget: RequestBudget | None = None,
    ) -> None:
        super().__init__(collection, caller, services, DIRECTORY_RULES, client_info, budget)

    async def read_by_query(self, query: Query | None = None) -> list[Row]:
        """Return the rows that match a query or, with `aggregate` or `groupBy`, its groups."""
        return await self.read_as(lambda access: self._parse_query(access, query or {}))

    async def read_one(self, key: Any, query: Query | None = None) -> Row:
        """Return the row with a key; raise Forbidden if there is none that the caller can see."""
        rows = await self.read_many([key], query)
        if not rows:
            raise Forbidden
        return rows[0]

    async def read_many(self, keys: Sequence[Any], query: Query | None = None) -> list[Row]:
        """Return the rows with these keys that the caller can see."""
        unlimited = {"limit": -1, **(query or {})}
        parsed_keys = [parse_key(self.collection, key) for key in keys]
        return await self.read_as(
            lambda access: self.restricted_to(self.query_parser(access).read(self.collection, unlimited), parsed_keys)
        )

    async def get_keys_by_query(self, query: Query | None = None) -> list[Any]:
        """Return the keys of the rows that match a query."""
        rows = await self.read_as(lambda access: self._keys_query(access, query or {}))
        return [row[self.collection.key.name] for row in rows]

    async def count(self, query: Query | None = None) -> int:
        """Return how many rows match a query's filter and search, regardless of its limit."""
        rows = await self.read_as(lambda access: self.query_parser(access).count(self.collection, query))
        return int(rows[0]["count"])

    async def read_singleton(self, query: Query | None = None) -> Row:
        """Return the only row of a singleton; an empty dict if it does not exist yet."""
        rows = await self.read_by_query({**(query or {}), "limit": 1})
        return rows[0] if rows else {}

    async def create_one(self, values: RawValues) -> Any:
        """Create a row and return its key."""
        return (await self.create_many([values]))[0]

    async def create_many(self, values: Sequence[RawValues]) -> list[Any]:
        """Create rows and return their keys."""
        return (await self.write(self.create_command(values))).keys

    async def update_one(self, key: Any, values: RawValues) -> Any:
        """Update a row and return its key."""
        return (await self.update_many([key], values))[0]

    async def update_many(self, keys: Sequence[Any], values: RawValues) -> list[Any]:
        """Update several rows with the same values and return their keys."""
        return (await self.write(self.update_command(keys, values))).keys

    async def update_batch(self, values: Sequence[RawValues]) -> list[Any]:
        """Update each row with its own values, which contain its key; return the keys."""
        return (await self.write(self.update_each_command(values))).keys

    async def update_by_query(self, query: Query, values: RawValues) -> list[Any]:
        """Update the rows that match a query and return their keys."""
        return (await self.write(self.update_by_query_command(query, values))).keys

    async def delete_one(self, key: Any) -> Any:
        """Delete a row and return its key."""
        return (await self.delete_many([key]))[0]

    async def delete_many(self, keys: Sequence[Any]) -> list[Any]:
        """Delete rows and return their keys."""
        return (await self.write(self.delete_command(keys))).keys

    async def delete_by_query(self, query: Query) -> list[Any]:
        """Delete the rows that match a query and return their keys."""
        return (await self.write(self.delete_by_query_command(query))).keys

    async def upsert_one(self, values: RawValues) -> Any:
        """Update the row whose key is in the values, or create one; return its key."""
        return (await self.upsert_many([values]))[0]

    async def upsert_many(self, values: Sequence[RawValues]) -> list[Any]:
        """Update or create several rows, as `upsert_one`, and return their keys."""
        return (await self.write(Upsert(self._payloads(values)))).keys

    async def upsert_singleton(self, values: RawValues) -> Any:
        """Update the only row of a singleton, or create it; return its key."""
        return (await self.write(self.update_singleton_command(values))).keys[0]

    def create_command(self, values: Sequence[RawValues]) -> Create:
        """Return the command that creates rows with these values."""
        return Create(self._payloads(values))

    def update_command(self, keys: Sequence[Any], values: RawValues) -> Update:
        """Return the command that updates the rows with these keys."""
        return Update(self.collection, self._keys(keys), self._payload(values))

    def update_by_query_command(self, query: Query, values: RawValues) -> Update:
        """Return the command that updates the rows that match a query."""
        return Update(self.collection, lambda access: self._keys_query(access, query), self._payload(values))

    def update_each_command(self, values: Sequence[RawValues]) -> UpdateEach:
        """Return the command that updates each row with its own values, which contain its key."""
        payloads = self._payloads(values)
        check_keys(payloads)
        return UpdateEach(payloads)

    def delete_command(self, keys: Sequence[Any]) -> Delete:
        """Return the command that deletes the rows with these keys."""
        return Delete(self.collection, self._keys(keys))

    def delete_by_query_command(self, query: Query) -> Delete:
        """Return the command that deletes the rows that match a query."""
        return Delete(self.collection, lambda access: self._keys_query(access, query))

    def update_singleton_command(self, values: RawValues) -> UpdateSingleton:
        """Return the command that updates the only row of a singleton, or creates it."""
        return UpdateSingleton(self._payload(values))

    def query_parser(self, access: Access) -> QueryParser:
        """Return the parser of one query's parameters, in which wildcards mean the fields that this access may read."""
        limits = self._services.limits
        return QueryParser(limits, lambda collection: access.fields("read", collection), limits.size_counter())

    def live_read(self, access: Access, query: Query, key: Any = None) -> Read:
        """Return the query of a subscription, to the row with a key if there is one.

        Raises:
            InvalidQuery: The query is invalid, or groups rows.
            Forbidden: It names a field that the caller may not read, or the key is malformed.
        """
        if is_grouped(query):
            raise InvalidQuery("A subscription can't aggregate or group rows")
        read = self.query_parser(access).read(self.collection, {**query, "limit": -1})
        return read if key is None else self.restricted_to(read, [parse_key(self.collection, key)])

    def restricted_to(self, read: Read, keys: Iterable[Any]) -> Read:
        """Return a query restricted to the rows with these keys."""
        if not (key_list := list(keys)):
            return read.without_rows()
        return read.restricted_to(compare(self.collection.key, None, "_in", key_list))

    def _parse_query(self, access: Access, query: Query) -> Read | Aggregation:
        parser = self.query_parser(access)
        if is_grouped(query):
            return parser.aggregation(self.collection, query)
        return parser.read(self.collection, query)

    def _keys_query(self, access: Access, query: Query) -> Read:
        key = self.collection.key
        read = self.query_parser(access).read(self.collection, {"limit": -1, **query, "fields": [key.name]})
        return read.selecting((FieldSelection(key.name, key),))

    def _keys(self, keys: Sequence[Any]) -> list[Any]:
        check_count(len(keys), self._services.limits.max_batch_size)
        return [parse_key(self.collection, key) for key in keys]

    def _payload(self, values: RawValues) -> Payload:
        return parse_payload(self.collection, values, self._services.limits.max_depth)

    def _payloads(self, values: Sequence[RawValues]) -> list[Payload]:
        check_count(len(values), self._services.limits.max_batch_size)
        return [self._payload(row) for row in values]


_KEYS_BY_EMAIL = select(cast(JSONRows(cast(USERS.table.c.id, Text)), Text)).where(
    EmailEquals(USERS.table.c.id, USERS.table.c.email, bind_param("email", Text()))
)
"""Selects the keys of the users with an email, ignoring case, as one JSON text; it uses the index on emails."""


class UserRepository(Repository):
    """The users that one caller can see and change."""

    async def get_user_by_email(self, email: str) -> Row | None:
        """Return the user with an email, ignoring case; None if there is none that the caller can see.

        A user whose email is hidden from the caller is not found. If the domain has two spellings, a user with this one
        is preferred. Raises as `read` does.
        """
        if not email or not is_storable(email):
            return None
        for spelling in email_spellings(email):
            if user := await self._get_by_spelling(spelling):
                return user
        return None

    async def _get_by_spelling(self, email: str) -> Row | None:
        keys = orjson.loads((await self._services.reader.fetch(_KEYS_BY_EMAIL, {"email": email}))[0])
        has_email = compare(USERS.fields["email"], None, "_icontains", email)  # matches only what the caller can see

        def build(access: Access) -> Read:
            visible = self.query_parser(access).read(self.collection, {})
            return self.restricted_to(visible.restricted_to(has_email), keys)

        rows = await self.read_as(build)
        return rows[0] if rows else None
