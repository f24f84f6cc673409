"""API tokens as they are stored."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import Text, cast, delete, func, insert, select

from app.core.timestamps import StoredTime, format_timestamp, parse_stored_time
from app.db.models import API_TOKEN_POLICIES, API_TOKENS
from app.db.transaction import WriteTransaction
from app.policy.holdings import Holdings
from app.query.sql_functions import JSONArray, JSONRows
from app.repositories.services import Services

TIMES = ("created", "expires", "last_used")
"""The fields of a token that are times."""
_TOKENS, _SCOPES = API_TOKENS.c, API_TOKEN_POLICIES.c


@dataclass(frozen=True, slots=True)
class NewAPIToken:
    """A token to be created, by its hash. `policies` are the keys of those it is limited to, None for all."""

    hash: str = field(repr=False)
    name: str
    expires: datetime | None
    read_only: bool
    policies: frozenset[str] | None
    ip_access: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class APIToken:
    """A token as clients see it. `policies` are the keys of those it is limited to, None if it is limited to none.

    `last_used` is written in intervals, with the IP address of the last request.
    """

    id: str
    name: str
    created: StoredTime
    expires: StoredTime | None
    read_only: bool
    policies: list[str] | None
    ip_access: list[str] | None
    last_used: StoredTime | None
    last_used_ip: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as in a response, with times as timestamp strings."""
        times = {name: getattr(self, name) for name in TIMES}
        return asdict(self) | {name: time and format_timestamp(time) for name, time in times.items()}


async def list_api_tokens(services: Services, user: str) -> list[APIToken]:
    """Return a user's tokens, expired ones included, the newest first."""
    scope = select(_SCOPES.policy).where(_SCOPES.token == _TOKENS.id).order_by(_SCOPES.policy)
    rows = scope.correlate(API_TOKENS).subquery()
    policies = select(cast(JSONRows(JSONArray(rows.c.policy)), Text)).select_from(rows).scalar_subquery()
    names = ("id", "name", "created", "expires", "read_only", "scoped", "ip_access", "last_used", "last_used_ip")
    cells = [cast(_TOKENS[name], Text) if name == "ip_access" else _TOKENS[name] for name in names]
    ordered = (
        select(*cells, policies.label("policies"))
        .where(_TOKENS.user == user)
        .order_by(_TOKENS.created.desc(), _TOKENS.id)
        .subquery()
    )
    statement = select(cast(JSONRows(JSONArray(*ordered.c)), Text)).select_from(ordered)
    return list(_parse((await services.reader.fetch(statement))[0]))


def _parse(text: str) -> Iterator[APIToken]:
    for key, name, created, expires, read_only, scoped, ip_access, last_used, last_used_ip, policies in orjson.loads(
        text
    ):
        yield APIToken(
            key,
            name,
            parse_stored_time(created),
            expires and parse_stored_time(expires),
            bool(read_only),
            [policy for (policy,) in orjson.loads(policies)] if scoped else None,
            ip_access.split(",") if ip_access else None,
            last_used and parse_stored_time(last_used),
            last_used_ip,
        )


class APITokenStore:
    """Writes the tokens of one user within one transaction."""

    def __init__(self, writer: WriteTransaction, services: Services, user: str) -> None:
        self._writer, self._services, self._user = writer, services, user

    async def held_policies(self) -> frozenset[str]:
        """Return the keys of the policies that the user holds, whatever the IP address."""
        services = self._services
        holdings = Holdings(self._writer, services.limits.size, services.registry, services.clock())
        return frozenset((await holdings.of_users([self._user])).get(self._user, ()))

    async def count(self) -> int:
        """Return how many tokens the user has."""
        count: int = (await self._writer.execute(select(func.count()).where(_TOKENS.user == self._user)))[0][0]
        return count

    async def create(self, token: NewAPIToken) -> APIToken:
        """Store a token and return it as clients see it."""
        now = self._services.clock()
        created = APIToken(
            str(uuid4()),
            token.name,
            now,
            token.expires,
            token.read_only,
            None if token.policies is None else sorted(token.policies),
            list(token.ip_access) or None,
            last_used=None,
            last_used_ip=None,
        )
        stored = ("id", "name", "created", "expires", "read_only", "ip_access")
        values = {name: getattr(created, name) for name in stored}
        values |= {"user": self._user, "hash": token.hash, "scoped": token.policies is not None}
        await self._writer.execute(insert(API_TOKENS).values(values))
        for policy in created.policies or ():
            await self._writer.execute(insert(API_TOKEN_POLICIES).values(token=created.id, policy=policy))
        return created

    async def delete(self, token: str) -> bool:
        """Delete a token; return whether the user had it."""
        is_own = (_TOKENS.id == token) & (_TOKENS.user == self._user)
        return bool(await self._writer.execute(delete(API_TOKENS).where(is_own).returning(_TOKENS.id)))
