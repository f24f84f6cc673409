"""The events of one transaction: runs the hooks before each write, and those after all of them once it is committed."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.core.caller import Caller, ClientInfo
from app.policy.write_resolver import WriteResolver
from app.query.collection import Collection, Field
from app.query.payload import Payload
from app.repositories.engine.access_changes import changes_access
from app.repositories.engine.audit_log import redacted
from app.repositories.engine.constraints import check_same_key
from app.repositories.engine.hook_payloads import named_values, with_changes
from app.repositories.hooks import Accountability, HookEvent, Hooks, HookSource
from app.repositories.services import Services

FixedValues = Mapping[Field, Any]
"""Values that the server sets, which hooks see and can't change."""
RuleMatches = Mapping[Any, Sequence[bool]]


class WriteEvents:
    """Emits the events of the writes of one caller in one transaction.

    `requires_exclusive_lock` is whether a hook changed a payload so that no other transaction may write meanwhile.
    """

    def __init__(
        self, hooks: Hooks, services: Services, policy: WriteResolver, caller: Caller, client_info: ClientInfo
    ) -> None:
        self._hooks, self._policy, self._max_depth = hooks, policy, services.limits.max_depth
        self._source = HookSource(services, caller, client_info)
        self._accountability = Accountability.from_access(policy.access, caller, client_info)
        self._recorded: list[HookEvent] = []
        self.requires_exclusive_lock = False

    async def before_create(self, payload: Payload, fixed: FixedValues) -> Payload:
        """Run the hooks before a creation, and return the payload that they leave behind.

        Raises:
            RollcallError: A hook rejects the write or failed, or its payload is invalid or not permitted.
        """
        return await self._before("create", payload, (), fixed)

    async def before_update(
        self, payload: Payload, keys: Sequence[Any], matches: RuleMatches, fixed: FixedValues
    ) -> Payload:
        """Run the hooks before an update of rows, as `before_create`; `matches` says which rules match each row.

        Raises:
            Forbidden: The caller may update nothing of one of these rows; then no hook runs.
            RollcallError: As `before_create`.
        """
        if self._has_hooks("update", payload.collection):
            for key in keys:
                self._policy.check("update", payload.collection, matches.get(key, ()), ())
        changed = await self._before("update", payload, keys, fixed)
        check_same_key(changed, keys)
        return changed

    async def before_delete(self, collection: Collection, keys: Sequence[Any]) -> None:
        """Run the hooks before a deletion.

        Raises:
            RollcallError: A hook rejects it or failed.
        """
        if keys and self._has_hooks("delete", collection):
            await self._hooks.run_before(self._event("delete", collection, keys, None), self._source)

    def record(
        self,
        action: str,
        collection: Collection,
        keys: Sequence[Any],
        payload: Payload | None = None,
        fixed: FixedValues | None = None,
    ) -> None:
        """Record a write, for the hooks that run after the commit."""
        if keys and f"{collection.short_name}.{action}" in self._hooks.after:
            values = None if payload is None else {**named_values(payload), **redacted(fixed or {})}
            self._recorded.append(self._event(action, collection, keys, values))

    @property
    def recorded(self) -> bool:
        """Whether anything happened that hooks run after."""
        return bool(self._recorded)

    async def dispatch(self) -> None:
        """Start the hooks that run after the commit."""
        await self._hooks.dispatch(self._recorded, self._source)

    async def _before(self, action: str, payload: Payload, keys: Sequence[Any], fixed: FixedValues) -> Payload:
        collection = payload.collection
        if not self._has_hooks(action, collection):
            return payload
        original, values = named_values(payload), named_values(payload, restorable=True)
        event = self._event(action, collection, keys, {**values, **redacted(fixed)})
        await self._hooks.run_before(event, self._source)
        names = {field.name for field in fixed}
        before = {name: value for name, value in original.items() if name not in names}
        after = {name: value for name, value in (event.payload or {}).items() if name not in names}
        changed = with_changes(payload, before, after, self._max_depth)
        if changed is not payload:
            self._policy.require_fields(action, collection, changed.fields - {collection.key})
            self.requires_exclusive_lock = self.requires_exclusive_lock or changes_access(action, changed)
        return changed

    def _has_hooks(self, action: str, collection: Collection) -> bool:
        return f"{collection.short_name}.{action}" in self._hooks.before

    def _event(
        self, action: str, collection: Collection, keys: Sequence[Any], payload: dict[str, Any] | None
    ) -> HookEvent:
        name = f"{collection.short_name}.{action}"
        return HookEvent(name, tuple(keys), payload, self._accountability, collection.name)
