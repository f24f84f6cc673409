"""A repository that writes too: the rows of a collection, in the hands of one caller."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Text, cast, select

from app.core.caller import Caller, ClientInfoFactory, no_client_info
from app.core.errors import Forbidden
from app.db.statement import bind_param
from app.policy.rules import Access
from app.query.aggregate import Aggregation
from app.query.collection import USERS, Collection
from app.query.filter import compare
from app.query.parameters import QueryParser
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
    """Reads the rows that were written as their writer may see them."""

    async def answer(work: UnitOfWork, keys: list[Any]) -> list[Row] | None:
        if not work.access.granted("read", repository.collection):
            return None
        return await work.read_back(repository.restricted_to(build_query(work.access), keys), keys)

    return answer


class Repository(WriteRepository):
    """The rows of a collection, as far as one caller may see and change them.

    What writes is one transaction: all of it comes to be, or nothing. It raises Forbidden for what the caller may not
    write, or grant, and for a row to be changed that isn't there; InvalidPayload, FailedValidation and their kin for
    what can't be written; UnprocessableContent and LimitExceeded for what must not come to pass; and as `read` does.
    """

    def __init__(
        self, collection: Collection, caller: Caller, services: Services, via: ClientInfoFactory = no_client_info
    ) -> None:
        super().__init__(collection, caller, services, DIRECTORY_RULES, via)

    async def read_by_query(self, query: Query | None = None) -> list[Row]:
        """The rows that a query finds, or, with `aggregate`, what it tells of them."""
        return await self.read_as(lambda access: self._asked(access, query or {}))

    async def read_one(self, key: Any, query: Query | None = None) -> Row:
        """The row with a key; Forbidden where there is none to be seen."""
        rows = await self.read_many([key], query)
        if not rows:
            raise Forbidden
        return rows[0]

    async def read_many(self, keys: Sequence[Any], query: Query | None = None) -> list[Row]:
        """The rows with these keys, those of them that there are to be seen."""
        given = {"limit": -1, **(query or {})}
        wanted = [parse_key(self.collection, key) for key in keys]
        return await self.read_as(
            lambda access: self.restricted_to(self.parameters(access).read(self.collection, given), wanted)
        )

    async def get_keys_by_query(self, query: Query | None = None) -> list[Any]:
        """The keys of the rows that a query finds."""
        rows = await self.read_as(lambda access: self._keys_read(access, query or {}))
        return [row[self.collection.key.name] for row in rows]

    async def count(self, query: Query | None = None) -> int:
        """How many rows a query's filter and search find, however many it would answer."""
        found = await self.read_as(lambda access: self.parameters(access).count(self.collection, query))
        return int(found[0]["count"])

    async def read_singleton(self, query: Query | None = None) -> Row:
        """The one row of a collection that has no more; nothing where it isn't there yet."""
        rows = await self.read_by_query({**(query or {}), "limit": 1})
        return rows[0] if rows else {}

    async def create_one(self, values: RawValues) -> Any:
        """Makes a row; its key."""
        return (await self.create_many([values]))[0]

    async def create_many(self, values: Sequence[RawValues]) -> list[Any]:
        """Makes rows, all of them or none; their keys."""
        return (await self.write(self.create_command(values))).keys

    async def update_one(self, key: Any, values: RawValues) -> Any:
        """Changes a row; its key."""
        return (await self.update_many([key], values))[0]

    async def update_many(self, keys: Sequence[Any], values: RawValues) -> list[Any]:
        """Gives several rows the same values; their keys."""
        return (await self.write(self.update_command(keys, values))).keys

    async def update_batch(self, values: Sequence[RawValues]) -> list[Any]:
        """Gives each of several rows values of its own, which name its key; the keys."""
        return (await self.write(self.update_each_command(values))).keys

    async def update_by_query(self, query: Query, values: RawValues) -> list[Any]:
        """Changes the rows that a query finds; their keys."""
        return (await self.write(self.update_found_command(query, values))).keys

    async def delete_one(self, key: Any) -> Any:
        """Takes a row away; its key."""
        return (await self.delete_many([key]))[0]

    async def delete_many(self, keys: Sequence[Any]) -> list[Any]:
        """Takes rows away; their keys."""
        return (await self.write(self.delete_command(keys))).keys

    async def delete_by_query(self, query: Query) -> list[Any]:
        """Takes the rows away that a query finds; their keys."""
        return (await self.write(self.delete_found_command(query))).keys

    async def upsert_one(self, values: RawValues) -> Any:
        """Changes the row whose key the values name, or makes one; its key."""
        return (await self.upsert_many([values]))[0]

    async def upsert_many(self, values: Sequence[RawValues]) -> list[Any]:
        """The same for several; their keys."""
        return (await self.write(Upsert(self._payloads(values)))).keys

    async def upsert_singleton(self, values: RawValues) -> Any:
        """Changes the one row of a collection that has no more; its key."""
        return (await self.write(self.singleton_command(values))).keys[0]

    def create_command(self, values: Sequence[RawValues]) -> Create:
        """New rows of these values."""
        return Create(self._payloads(values))

    def update_command(self, keys: Sequence[Any], values: RawValues) -> Update:
        """The same change to the rows with these keys."""
        return Update(self.collection, self._keys(keys), self._payload(values))

    def update_found_command(self, query: Query, values: RawValues) -> Update:
        """The same change to the rows that a query finds."""
        return Update(self.collection, lambda access: self._keys_read(access, query), self._payload(values))

    def update_each_command(self, values: Sequence[RawValues]) -> UpdateEach:
        """To each row that values name a change of its own."""
        written = self._payloads(values)
        check_keys(written)
        return UpdateEach(written)

    def delete_command(self, keys: Sequence[Any]) -> Delete:
        """The rows with these keys go."""
        return Delete(self.collection, self._keys(keys))

    def delete_found_command(self, query: Query) -> Delete:
        """The rows that a query finds go."""
        return Delete(self.collection, lambda access: self._keys_read(access, query))

    def singleton_command(self, values: RawValues) -> UpdateSingleton:
        """A change to the collection's one row."""
        return UpdateSingleton(self._payload(values))

    def parameters(self, access: Access) -> QueryParser:
        """Query parameters as one with these rights means them."""
        return QueryParser(self._services.limits, lambda collection: access.fields("read", collection))

    def restricted_to(self, read: Read, keys: Iterable[Any]) -> Read:
        """What is left of a Read among the rows with these keys."""
        return (
            read.restricted_to(compare(self.collection.key, None, "_in", list(keys)))
            if (keys := list(keys))
            else read.without_rows()
        )

    def _asked(self, access: Access, query: Query) -> Read | Aggregation:
        parameters = self.parameters(access)
        if query.get("aggregate"):
            return parameters.aggregation(self.collection, query)
        return parameters.read(self.collection, query)

    def _keys_read(self, access: Access, query: Query) -> Read:
        key = self.collection.key
        read = self.parameters(access).read(self.collection, {"limit": -1, **query, "fields": [key.name]})
        return read.selecting((FieldSelection(key.name, key),))

    def _keys(self, keys: Sequence[Any]) -> list[Any]:
        check_count(len(keys), self._services.limits.max_batch_size)
        return [parse_key(self.collection, key) for key in keys]

    def _payload(self, values: RawValues) -> Payload:
        return parse_payload(self.collection, values, self._services.limits.max_depth)

    def _payloads(self, values: Sequence[RawValues]) -> list[Payload]:
        check_count(len(values), self._services.limits.max_batch_size)
        return [self._payload(one) for one in values]


_KEYS_BY_EMAIL = select(cast(JSONRows(cast(USERS.table.c.id, Text)), Text)).where(
    EmailEquals(USERS.table.c.id, USERS.table.c.email, bind_param("email", Text()))
)
"""The keys of the users with an email address, whatever its case, as one JSON text; it uses the index on emails."""


class UserRepository(Repository):
    """The users that one caller can see and change."""

    async def get_user_by_email(self, email: str) -> Row | None:
        """Return the user with an email address, whatever its case; None if there is none that the caller can see.

        A user whose email is hidden from the caller is not found. Raises as `read` does.
        """
        if not email or "\0" in email:
            return None
        keys = orjson.loads((await self._services.reader.fetch(_KEYS_BY_EMAIL, {"email": email}))[0])
        has_email = compare(USERS.fields["email"], None, "_icontains", email)  # judged by what the caller can see

        def build(access: Access) -> Read:
            return self.restricted_to(self.parameters(access).read(self.collection, {}).restricted_to(has_email), keys)

        rows = await self.read_as(build)
        return rows[0] if rows else None
