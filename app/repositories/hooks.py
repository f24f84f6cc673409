"""Hooks: functions of extensions that run before a write, in its transaction, or once after its commit."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog

from app.core.caller import Caller, ClientInfo
from app.core.errors import RollcallError
from app.policy.rules import Access

LOGIN_EVENT = "auth.login"
AFTER_HOOK_SECONDS = 60.0
"""How long a hook may take after a commit."""
SHUTDOWN_SECONDS = 5.0
"""How long shutdown waits for hooks that run after a commit."""

log = structlog.get_logger(__name__)

in_before_hook: ContextVar[bool] = ContextVar("in_before_hook", default=False)
"""Whether the current task runs a hook inside a transaction, where it must not begin another one."""


class WriteInHookError(Exception):
    """A hook before a write, which runs in a transaction, began another one; a hook after the write may do so."""


@dataclass(frozen=True, slots=True)
class Accountability:
    """Who causes an event. For trusted code, such as a registration, `system` is set, and `user` is whom it acts for.

    `roles` are the user's role and its ancestors. `user_agent` and `origin` are what the client says of itself.
    """

    user: str | None
    role: str | None
    roles: Sequence[str]
    admin: bool
    app: bool
    ip: str | None
    user_agent: str | None
    origin: str | None
    system: bool

    @classmethod
    def from_access(cls, access: Access, caller: Caller, client_info: ClientInfo) -> "Accountability":
        """Return the accountability of a caller with this access."""
        return cls(
            user=access.user or caller.user,
            role=access.state.role,
            roles=access.roles,
            admin=access.admin,
            app=access.app,
            ip=caller.ip,
            user_agent=client_info.user_agent,
            origin=client_info.origin,
            system=caller.system,
        )


@dataclass(slots=True)
class HookEvent:
    """What a hook learns of an event.

    `name` is Directus', such as `users.update`. `keys` are those of the rows; none before a creation. `payload` holds
    the values by field name, and None for a deletion; secrets in it are masked.
    """

    name: str
    keys: tuple[Any, ...]
    payload: dict[str, Any] | None
    accountability: Accountability
    collection: str | None = None


class HookSource(NamedTuple):
    """Where an event comes from, for the directory that its hooks receive."""

    services: Any
    caller: Caller
    client_info: ClientInfo


HookFunction = Callable[[HookEvent, Any], Awaitable[Any]]
"""Receives an event and the directory of its caller. Before a write, it may return another payload."""
HooksByEvent = Mapping[str, Sequence[HookFunction]]


class Hooks:
    """The hooks of all extensions, by event; `open_directory` returns the directory that they receive."""

    def __init__(self, before: HooksByEvent, after: HooksByEvent, open_directory: Callable[[HookSource], Any]) -> None:
        self.before, self.after, self._open_directory = before, after, open_directory
        self._running: set[asyncio.Task[None]] = set()

    async def run_before(self, event: HookEvent, source: HookSource) -> None:
        """Run the hooks before an event; they may change its payload.

        Raises:
            RollcallError: A hook rejects the write, or it failed, which is logged.
        """
        token = in_before_hook.set(True)
        try:
            for hook in self.before.get(event.name, ()):
                await self._run_one(hook, event, source)
        finally:
            in_before_hook.reset(token)

    async def dispatch(self, events: Sequence[HookEvent], source: HookSource) -> None:
        """Start to run the hooks after these events, one after the other, and do not wait for them."""
        task = asyncio.create_task(self._run_after(events, source), name="extension_hooks")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def finished(self) -> None:
        """Wait for all hooks that run after a commit, and for those of the writes that these make."""
        while self._running:
            await asyncio.wait(self._running)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """On exit, wait up to SHUTDOWN_SECONDS for the hooks that run after a commit, then cancel them."""
        try:
            yield
        finally:
            try:
                async with asyncio.timeout(SHUTDOWN_SECONDS):
                    await self.finished()
            except TimeoutError:
                log.warning("extension_hooks_cancelled", count=len(self._running))
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _run_one(self, hook: HookFunction, event: HookEvent, source: HookSource) -> None:
        try:
            result = await hook(event, self._open_directory(source))
            if result is not None:
                event.payload = _checked_payload(event, result)
        except RollcallError:
            raise
        except Exception as error:  # noqa: BLE001  # the client must not see its text
            _log_failure(hook, event, error)
            raise RollcallError from None

    async def _run_after(self, events: Sequence[HookEvent], source: HookSource) -> None:
        for event in events:
            for hook in self.after.get(event.name, ()):
                try:
                    async with asyncio.timeout(AFTER_HOOK_SECONDS):
                        await hook(event, self._open_directory(source))
                except Exception as error:  # noqa: BLE001  # the write is committed, and other hooks must run
                    _log_failure(hook, event, error)


def _checked_payload(event: HookEvent, result: Any) -> dict[str, Any]:
    if event.payload is None or not isinstance(result, Mapping):
        expected = "nothing" if event.payload is None else "a mapping with the payload, or nothing"
        raise TypeError(f"A hook before {event.name} must return {expected}, not {type(result).__name__}")
    return dict(result)


def _log_failure(hook: HookFunction, event: HookEvent, error: Exception) -> None:
    name = f"{hook.__module__}.{getattr(hook, '__qualname__', hook)}"
    log.error("extension_hook_failed", hook=name, hook_event=event.name, **failure_fields(error))


def failure_fields(error: Exception) -> dict[str, str]:
    """Return what is logged of an error in an extension: not its text, which may contain personal data."""
    return {"error": type(error).__name__, "stack": "".join(traceback.format_tb(error.__traceback__))}
