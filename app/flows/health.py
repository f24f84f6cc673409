"""The health of the server: whether it is ready for requests, and whether what it depends on responds."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import literal, select

from app import __version__
from app.core.errors import ServiceUnavailable
from app.core.lifecycle import Phase
from app.db.read_pool import POOL_EXHAUSTED
from app.mail.message import DeliveryError
from app.repositories.project_settings import read_project_settings
from app.repositories.services import Services

SLOW_MILLISECONDS = 150
"""Response time from which the database's health is a warning; Directus' default."""
SLOW_DEPENDENCY_MILLISECONDS = 1_000
"""The same for what is not needed by every request."""
READY_TIMEOUT_SECONDS, CHECK_TIMEOUT_SECONDS = 2.0, 5.0
"""How long the database, and other dependencies, may take to respond."""
UNAVAILABLE = "unavailable"
"""The state of a server whose database does not respond."""

Check = Callable[[], Awaitable[None]]
"""Raises an error if a dependency does not respond."""


@dataclass(frozen=True, slots=True)
class Health:
    """The server's health, with `details` for administrators."""

    status: str
    details: dict[str, Any]

    @property
    def healthy(self) -> bool:
        """Whether the database responds, however slowly."""
        return self.status != "error"

    def as_dict(self, *, include_details: bool) -> dict[str, Any]:
        """Return the status, and the details if the client may see them."""
        return {"status": self.status, **(self.details if include_details else {})}


async def readiness(services: Services) -> str:
    """Return `ready` if requests can be answered, else why not: `starting`, `draining` or `unavailable`; never raises.

    A database for which too many requests wait responds: without this server, even more would wait for it.
    """
    if services.lifecycle.phase is not Phase.READY:
        return services.lifecycle.phase
    try:
        async with asyncio.timeout(READY_TIMEOUT_SECONDS):
            await services.reader.fetch(select(literal(1)))
    except ServiceUnavailable as error:
        if error.reason != POOL_EXHAUSTED:
            return UNAVAILABLE
    except TimeoutError:
        return UNAVAILABLE
    return services.lifecycle.phase


async def health(services: Services) -> Health:
    """Query the database and report how long it took; never raises."""
    started, status = time.perf_counter(), ""
    try:
        await read_project_settings(services, "id")
    except ServiceUnavailable:
        status = "error"
    milliseconds = round((time.perf_counter() - started) * 1000, 3)
    status = status or ("ok" if milliseconds < SLOW_MILLISECONDS else "warn")
    check = _described(status, "datastore", milliseconds, SLOW_MILLISECONDS)
    release = {"releaseId": __version__, "serviceId": services.settings.public_url}
    return Health(status, {**release, "checks": {f"{services.dialect}:responseTime": [check]}})


async def detailed_health(services: Services) -> Health:
    """Return the health with that of every dependency, for administrators; never raises.

    The status is a warning if one fails that not every request needs.
    """
    database, others = await asyncio.gather(health(services), _check_dependencies(services))
    checks = {**database.details["checks"], **others}
    all_ok = all(check["status"] == "ok" for (check,) in checks.values())
    status = database.status if all_ok or not database.healthy else "warn"
    return Health(status, {**database.details, "checks": checks})


async def _check_dependencies(services: Services) -> dict[str, list[dict[str, Any]]]:
    """Return a check of each dependency but the database, under the names of Directus."""
    settings, checks = services.settings, dict[str, tuple[str, Check]]()
    if services.rates.is_shared:
        checks["redis:responseTime"] = "cache", services.rates.check_available
    checks[f"storage:{settings.storage_location}:responseTime"] = "objectstore", services.storage.check
    if settings.email_transport == "smtp":
        from app.mail.smtp import SmtpTransport  # noqa: PLC0415  # takes a MB of memory

        checks["email:connection"] = "email", SmtpTransport(settings).check
    results = await asyncio.gather(*(_run_check(component, check) for component, check in checks.values()))
    return {name: [result] for name, result in zip(checks, results, strict=True)}


async def _run_check(component: str, check: Check) -> dict[str, Any]:
    started, failed = time.perf_counter(), False
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            await check()
    except (ServiceUnavailable, DeliveryError, TimeoutError):
        failed = True
    milliseconds = round((time.perf_counter() - started) * 1000, 3)
    status = "error" if failed else "ok" if milliseconds < SLOW_DEPENDENCY_MILLISECONDS else "warn"
    return _described(status, component, milliseconds, SLOW_DEPENDENCY_MILLISECONDS)


def _described(status: str, component: str, milliseconds: float, threshold: int) -> dict[str, Any]:
    return {
        "status": status,
        "componentType": component,
        "observedUnit": "ms",
        "observedValue": milliseconds,
        "threshold": threshold,
    }
