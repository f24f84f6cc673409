"""The access expiry job: announces access rows that expire soon, and records those that have expired.

No right depends on it: an access row that has expired grants nothing, whether or not this job has run.
"""

from typing import Any

import structlog

from app.core.timestamps import format_timestamp
from app.flows.background_jobs import PeriodicJob
from app.repositories.services import Services
from app.repositories.stores.expiring_access import ExpiringAccess, ExpiringAccessStore

log = structlog.get_logger(__name__)


class AccessExpiryJob(PeriodicJob):
    """Announces and records the ends of access rows, each of them once, whatever the number of processes.

    Users get a mail about the rows that attach a policy to themselves, ACCESS_EXPIRY_NOTICE before the end. The ends of
    policies that are attached to roles or to everyone are logged.
    """

    name = "access_expiry_job"
    interval_seconds = 60.0

    def __init__(self, services: Services) -> None:
        super().__init__(services.metrics, tracer=services.tracer)
        self._store, self._notice = ExpiringAccessStore(services), services.settings.access_expiry_notice

    async def run_once(self) -> int:
        """Announce and record what is due, and return how many access rows that were."""
        announced = await self._store.announce(self._notice) if self._notice else []
        recorded = await self._store.record()
        for row in announced:
            log.info("access_expiring", **_log_fields(row))
        for row in recorded:
            log.info("access_expired", **_log_fields(row))
        return len(announced) + len(recorded)


def _log_fields(row: ExpiringAccess) -> dict[str, Any]:
    """Return the ids of an access row, its policy and its holder, and its end; never an email address."""
    expires = format_timestamp(row.expires)
    return {"access": row.id, "policy": row.policy, "role": row.role, "user": row.user, "expires": expires}
