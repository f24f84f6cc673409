"""Counters of attempts whose number is limited: logins, one-time passwords and mails.

Every attempt is counted before it is checked, so that concurrent attempts are all counted. A counter expires after a
while and starts again at 1. It is stored under a hash, so that the table lists no emails.
"""

import hashlib
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from sqlalchemy import BigInteger, delete, text

from app.core.email_addresses import email_key
from app.core.ip_addresses import rate_limit_network
from app.db.models import ATTEMPTS
from app.db.statement import bind_param
from app.db.transaction import WriteTransaction
from app.query.bind_types import ListParam
from app.query.sql_functions import InList
from app.repositories.services import Services

MAIL_KINDS = ("access_ends", "invite", "reset", "verify")
"""The kinds of mails, which are counted apart."""
COUNT_ATTEMPT = (
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
DELETE_COUNTERS = delete(ATTEMPTS).where(
    InList(ATTEMPTS.c.subject, bind_param("subjects", ListParam(ATTEMPTS.c.subject.type)))
)


class AttemptCounter:
    """Counts attempts of one kind; a counter expires `ttl` after its first attempt."""

    def __init__(self, services: Services, kind: str, ttl: timedelta) -> None:
        self._services, self._kind, self._ttl = services, kind, ttl

    async def count(self, *subjects: tuple[str | None, ...]) -> list[int]:
        """Count one attempt for each subject, in a transaction of its own, and return the new count of each."""

        async def work(writer: WriteTransaction) -> list[int]:
            return [await self.count_within(writer, subject) for subject in subjects]

        return await self._services.database.run_write(work, exclusive=False)

    async def count_within(self, writer: WriteTransaction, subject: tuple[str | None, ...]) -> int:
        """Count one attempt, if the transaction commits, and return the new count. Others wait for that to count it."""
        now = self._services.clock()
        values = {"subject": self._hash(subject), "now": now, "expires": now + self._ttl}
        return int((await writer.fetch(COUNT_ATTEMPT, values))[0])

    async def reset(self, writer: WriteTransaction, *subjects: tuple[str | None, ...]) -> None:
        """Delete the counters of these subjects."""
        await writer.execute(DELETE_COUNTERS, {"subjects": [self._hash(subject) for subject in subjects]})

    def _hash(self, subject: tuple[Any, ...]) -> str:
        return subject_hash(self._kind, subject)


def subject_hash(kind: str, subject: tuple[Any, ...]) -> str:
    """Return the text under which attempts of a kind on a subject are counted."""
    return hashlib.sha256(repr((kind, *subject)).encode()).hexdigest()


def hashes_of_person(user: str, email: str | None, ips: Iterable[str]) -> list[str]:
    """Return the texts under which attempts of a user may be counted: logins from these IPs, codes, and mails."""
    hashes = [subject_hash("otp", (user,))]
    if email is not None:
        logins = [account_key(email), *(account_and_network_key(email, ip) for ip in (None, *ips))]
        hashes += [subject_hash("login", subject) for subject in logins]
        hashes += [subject_hash("mail", (kind, *account_key(email))) for kind in MAIL_KINDS]
    return hashes


async def reset_all(services: Services) -> None:
    """Delete all counters, which ends all lockouts."""
    await services.database.run_write(lambda writer: writer.execute(delete(ATTEMPTS)), exclusive=False)


def account_key(email: str) -> tuple[str | None, ...]:
    """Return the subject that counts attempts on an account from all IPs."""
    return (email_key(email),)


def account_and_network_key(email: str, ip: str | None) -> tuple[str | None, ...]:
    """Return the subject that counts attempts on an account from one IPv4 address or IPv6 /64 network."""
    return (email_key(email), rate_limit_network(ip))
