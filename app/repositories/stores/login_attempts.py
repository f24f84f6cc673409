"""How often something was tried that may be tried only so often: signing in, and the codes of a second factor.

Every attempt is counted before it is judged, in a transaction of its own, so that many at once count as many. A count
holds for a time and then begins anew; it is kept under a hash, so that no list of addresses comes to be.
"""

import hashlib
from datetime import timedelta
from typing import Any

from sqlalchemy import BigInteger, delete, text

from app.core.ip_addresses import rate_limit_network
from app.db.models import ATTEMPTS
from app.db.statement import bind_param
from app.db.transaction import WriteTransaction
from app.query.bind_types import ListParam
from app.query.sql_functions import InList
from app.repositories.services import Services

COUNTED = (
    text(
        "INSERT INTO rollcall_attempts (subject, count, expires) VALUES (:subject, 1, :expires) "
        "ON CONFLICT (subject) DO UPDATE SET "
        "count = CASE WHEN rollcall_attempts.expires < :now THEN 1 ELSE rollcall_attempts.count + 1 END, "
        "expires = CASE WHEN rollcall_attempts.expires < :now THEN excluded.expires ELSE rollcall_attempts.expires END "
        "RETURNING count"
    )
    .bindparams(
        bind_param("subject", ATTEMPTS.c.subject.type),
        bind_param("expires", ATTEMPTS.c.expires.type),
        bind_param("now", ATTEMPTS.c.expires.type),
    )
    .columns(count=BigInteger())
)
FORGOTTEN = delete(ATTEMPTS).where(
    InList(ATTEMPTS.c.subject, bind_param("subjects", ListParam(ATTEMPTS.c.subject.type)))
)


class AttemptCounter:
    """The counts of one kind of attempt, each good for `ttl`."""

    def __init__(self, services: Services, kind: str, ttl: timedelta) -> None:
        self._services, self._kind, self._ttl = services, kind, ttl

    async def count(self, *subjects: tuple[str | None, ...]) -> list[int]:
        """Counts one more for each of these subjects; how many that makes for each, at least 1."""

        async def work(writer: WriteTransaction) -> list[int]:
            now = self._services.clock()
            told = []
            for subject in subjects:
                values = {"subject": self._hash(subject), "now": now, "expires": now + self._ttl}
                told.append(int((await writer.fetch(COUNTED, values))[0]))
            return told

        return await self._services.database.run_write(work, exclusive=False)

    async def reset(self, writer: WriteTransaction, *subjects: tuple[str | None, ...]) -> None:
        """Begins anew with these."""
        await writer.execute(FORGOTTEN, {"subjects": [self._hash(subject) for subject in subjects]})

    def _hash(self, subject: tuple[Any, ...]) -> str:
        return hashlib.sha256(repr((self._kind, *subject)).encode()).hexdigest()


async def reset_all(services: Services) -> None:
    """Forgets every count of everybody, and so ends all that came of them."""
    await services.database.run_write(lambda writer: writer.execute(delete(ATTEMPTS)), exclusive=False)


def account_key(email: str) -> tuple[str | None, ...]:
    """An account, from wherever it is tried."""
    return (email.casefold(),)


def account_and_network_key(email: str, ip: str | None) -> tuple[str | None, ...]:
    """An account as it is tried from one address, or from one network of IPv6, all of which somebody has at once."""
    return (email.casefold(), rate_limit_network(ip))
