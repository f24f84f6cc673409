"""The unit of work behind one mutation: checks permissions before and after each write and records the audit log."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from app.core.caller import Caller, ClientInfo
from app.core.errors import Forbidden, RollcallError
from app.core.request_budget import RequestBudget
from app.db.database import RetryTransaction
from app.db.transaction import WriteTransaction
from app.policy.access_queries import with_access_state
from app.policy.grantor_rights import GrantedPolicy
from app.policy.resolver import PolicyResolver
from app.policy.rules import Access, AccessState, Rule
from app.policy.write_resolver import WriteResolver
from app.query import sql_writes
from app.query.aggregate import Aggregation
from app.query.collection import USERS, Collection
from app.query.filter import MATCH_ALL
from app.query.limits import check_complexity
from app.query.payload import Payload
from app.query.read import FieldSelection, Read
from app.query.results import Row, row_decoder
from app.query.sql_select import build_select
from app.query.sql_writes import KEYS_PARAMETER, select_rule_matches
from app.repositories.engine.audit_log import AuditLog, PendingWrite
from app.repositories.engine.collection_rules import DirectoryRules
from app.repositories.engine.constraints import (
    check_foreign_keys,
    check_generated_key,
    check_not_referenced,
    check_required,
    check_same_key,
    check_unique,
    rejecting_row,
)
from app.repositories.engine.context import AffectedRights, RowValues, TouchedFiles, WrittenRow
from app.repositories.engine.custom_values import (
    created_values,
    field_rules,
    hash_values,
    updated_values,
    values_as_sent,
)
from app.repositories.engine.nested_writes import EMPTY_VALUES, FieldValues, NestedWriter
from app.repositories.engine.presets import PresetApplier
from app.repositories.engine.table import RowStore, has_side_values
from app.repositories.engine.write_events import WriteEvents
from app.repositories.services import Services

KEY_ALIAS = "__key"
"""The response key of the primary key while rows are sorted; no name of a client begins with two underscores."""


class UnitOfWork(NestedWriter):
    """The writes of one caller in one transaction, with the access the caller had when it began.

    If `isolated`, no other transaction can change that access meanwhile. If `has_email_index`, the database itself
    rejects a second user with the same email address.
    """

    def __init__(
        self,
        writer: WriteTransaction,
        caller: Caller,
        client_info: ClientInfo,
        access: Access,
        services: Services,
        rules: DirectoryRules,
        budget: RequestBudget,
        *,
        isolated: bool = False,
        has_email_index: bool = False,
    ) -> None:
        self.isolated, self._has_email_index = isolated, has_email_index
        self.writer, self.caller, self.access = writer, caller, access
        self.services, self.now = services, services.clock()
        self._registry = services.registry
        self.policy = WriteResolver(access, self.now)
        self._rules, self.budget = rules, budget
        self.affected = AffectedRights()
        self.written_rows: list[WrittenRow] = []
        self.preset_hashes: dict[str, str] = {}
        self.last_error: RollcallError | None = None
        self.signed_out_self = False
        """Whether the caller deleted its own row, or ended its own session."""
        self.files = TouchedFiles()
        self._presets = PresetApplier(self.policy, writer, services, budget)
        self.audit_log = AuditLog(writer, access.user or caller.user, caller, client_info)
        hooks = services.hooks
        self.events = WriteEvents(hooks, services, self.policy, caller, client_info) if hooks is not None else None

    def rows(self, collection: Collection) -> RowStore:
        return RowStore(self.writer, self._registry.own(collection))

    async def create(
        self,
        payload: Payload,
        link_values: FieldValues = EMPTY_VALUES,
        server_values: FieldValues = EMPTY_VALUES,
    ) -> Any:
        """Create a row as NestedWriter says; the fields of `server_values` need no permission."""
        payload = self._own(payload)
        collection, fields = payload.collection, payload.fields | link_values.keys()
        self.affected.note_write(collection)
        rules = self.policy.rules("create", collection)
        self.policy.require_fields("create", collection, fields)
        if self.events is not None:
            payload = await self.events.before_create(payload, {**link_values, **server_values})
            fields = payload.fields | link_values.keys()
        sent = payload
        payload = await self._presets.apply(rules, await self._rules.of(collection).expand_legacy(self, payload, None))
        mark = self.audit_log.mark()
        values = await self._column_values(rules, payload, {**link_values, **server_values})
        values |= created_values(collection, self.access, self.now, values)
        await self._rules.of(collection).before_create(self, values)
        check_required(collection, values, payload.path)
        await check_unique(self.writer, collection, values, has_email_index=self._has_email_index)
        await check_foreign_keys(self.writer, payload, values)
        if collection.key.kind == "uuid":
            values.setdefault(collection.key, str(uuid4()))
        key = values.get(collection.key)
        pending: PendingWrite | None = PendingWrite(sql_writes.insert_row, values)
        if payload.to_many or key is None or has_side_values(values):
            with rejecting_row(collection, values):
                key, pending = await self.rows(collection).insert(values), None
            check_generated_key(collection, key)
        for field, changes in payload.to_many.items():
            await self.write_to_many(collection, field, key, changes, is_new=True)
        with rejecting_row(collection, values):
            await self.audit_log.record_revision("create", collection, key, values, values, mark, pending)
        await self._rules.of(collection).after_create(self, key, values)
        self.written_rows.append(WrittenRow("create", collection, key, fields))
        if self.events is not None:
            self.events.record("create", collection, [key], sent, {**link_values, **server_values})
        return key

    async def update(
        self,
        collection: Collection,
        keys: Iterable[Any],
        payload: Payload,
        link_values: FieldValues = EMPTY_VALUES,
        server_values: FieldValues = EMPTY_VALUES,
    ) -> None:
        """Update rows as NestedWriter says; `server_values` as in `create`."""
        payload, collection = self._own(payload), self._registry.own(collection)
        self.affected.note_write(collection)
        keys = list(dict.fromkeys(keys))
        fields = (payload.fields | link_values.keys()) - {collection.key}
        self.policy.require_fields("update", collection, fields)
        check_same_key(payload, keys)
        stored = await self.rows(collection).fetch_for_update(keys)
        matches = await self._matching_rules("update", collection, keys, stored)
        if self.events is not None:
            payload = await self.events.before_update(payload, keys, matches, {**link_values, **server_values})
            fields = (payload.fields | link_values.keys()) - {collection.key}
        for key in keys:
            is_self = collection.is_same(USERS) and key == self.access.user
            rules = self.policy.check("update", collection, matches.get(key, ()), fields, is_self=is_self)
            await self._update(rules, stored[key], payload, {**link_values, **server_values})
            self.written_rows.append(WrittenRow("update", collection, key, fields))
        if self.events is not None:
            self.events.record("update", collection, keys, payload, {**link_values, **server_values})

    async def _update(self, rules: Sequence[Rule], row: RowValues, payload: Payload, link_values: FieldValues) -> None:
        collection, key = payload.collection, row[payload.collection.key]
        payload = await self._presets.apply(rules, await self._rules.of(collection).expand_legacy(self, payload, row))
        mark = self.audit_log.mark()
        values = await self._column_values(rules, payload, link_values)
        values.pop(collection.key, None)
        await self._rules.of(collection).before_update(self, row, values)
        changed = {field: value for field, value in values.items() if row[field] != value}
        if changed or payload.to_many:
            changed |= updated_values(collection, self.access, self.now)
        await check_unique(self.writer, collection, changed, key, has_email_index=self._has_email_index)
        await check_foreign_keys(self.writer, payload, changed)
        pending = PendingWrite(sql_writes.update_row, changed, key) if changed else None
        if (payload.to_many and changed) or has_side_values(changed):
            with rejecting_row(collection, changed):
                await self.rows(collection).update(key, changed)
            pending = None
        for field, changes in payload.to_many.items():
            await self.write_to_many(collection, field, key, changes, is_new=False)
        if changed or self.audit_log.mark() > mark:
            data = {**row, **changed}
            with rejecting_row(collection, changed):
                await self.audit_log.record_revision("update", collection, key, data, changed, mark, pending)

    async def delete(self, collection: Collection, keys: Iterable[Any]) -> None:
        collection, keys = self._registry.own(collection), list(dict.fromkeys(keys))
        self.affected.note_write(collection)
        self.policy.rules("delete", collection)
        stored = await self.rows(collection).fetch_for_update(keys)
        matches = await self._matching_rules("delete", collection, keys, stored)
        for key in keys:
            if key in stored or not self.access.admin:
                self.policy.check("delete", collection, matches.get(key, ()), ())
        if self.events is not None:
            await self.events.before_delete(collection, list(stored))
        self.signed_out_self = self.signed_out_self or (collection.is_same(USERS) and self.access.user in stored)
        await self._rules.of(collection).before_delete(self, stored)
        await check_not_referenced(self.writer, collection, stored)
        await self.rows(collection).delete(stored)
        for key in stored:
            await self.audit_log.record("delete", collection, key)
        if self.events is not None:
            self.events.record("delete", collection, list(stored))

    async def update_derived(self, collection: Collection, row: RowValues, values: RowValues) -> None:
        """Update a row as a consequence of another write: recorded, but no permission is required."""
        collection = self._registry.own(collection)
        key, mark = row[collection.key], self.audit_log.mark()
        pending = PendingWrite(sql_writes.update_row, values, key)
        await self.audit_log.record_revision("update", collection, key, {**row, **values}, values, mark, pending)

    async def is_unchanged(self, payload: Payload, row: FieldValues) -> bool:
        if any(True for _ in payload.nested()) or any(row[field] != value for field, value in payload.values.items()):
            return False
        expanded = await self._rules.of(payload.collection).expand_legacy(self, payload, dict(row))
        return not expanded.to_many and await self.readable(payload)

    async def read(self, query: Read | Aggregation) -> list[Row]:
        """Return rows with the access the caller had when the transaction began.

        Raises:
            RetryTransaction: The caller's access has changed since.
            RollcallError: As `ReadRepository.read`.
        """
        check_complexity(query, self.services.limits.max_depth)
        scoped = PolicyResolver(self.access, self.now).scope(query)
        row = await self.writer.fetch(with_access_state(self.caller, self.now, build_select(scoped)))
        self.check_access_current(row)
        return row_decoder(scoped)(row[-1])

    async def read_back(self, query: Read, keys: Sequence[Any]) -> list[Row]:
        """Return the written rows, in the order of their keys unless the query sorts them."""
        if len(keys) < 2 or query.sort:
            return await self.read(query)
        rows = await self.read(query.selecting((*query.select, FieldSelection(KEY_ALIAS, query.collection.key))))
        positions = {str(key): position for position, key in enumerate(keys)}
        rows.sort(key=lambda row: positions[str(row.pop(KEY_ALIAS))])
        return rows

    def check_access_current(self, row: Any) -> None:
        """Raise RetryTransaction if someone else changed the caller's access; `row` begins with the access state."""
        if self.isolated or self.caller.system or self.access.is_current(row, self.services.clock):
            return
        is_same_token = AccessState.read(row).token == self.access.state.token
        if not (is_same_token and self.changed_self) or self.access.has_expired(self.services.clock):
            raise RetryTransaction

    def raise_last_error(self) -> None:
        """Raise `last_error`, if there is one; called when everything but the commit has succeeded."""
        if self.last_error is not None:
            raise self.last_error

    @property
    def changed_self(self) -> bool:
        """Whether this transaction changed or deleted the caller's own row."""
        return (
            any(one.collection.is_same(USERS) and one.key == self.access.user for one in self.written_rows)
            or self.signed_out_self
        )

    @property
    def requires_exclusive_lock(self) -> bool:
        """Whether what was written holds only if no other transaction writes meanwhile."""
        if self.events is not None and self.events.requires_exclusive_lock:
            return True
        return self.affected.requires_exclusive_lock(self.services.user_limits)

    async def held_policies(self) -> Sequence[GrantedPolicy]:
        """Return the policies attached to the caller before the first write."""
        access, policies = await self.services.access_cache.held_policies(self.caller)
        if access.state.token != self.access.state.token:
            raise RetryTransaction
        return policies

    async def check_written_rows(self) -> None:
        """Raise Forbidden if a written row is no longer within the rules that allowed the write."""
        groups = dict.fromkeys((written.action, written.collection) for written in self.written_rows)
        for action, collection in groups if not self.access.admin else ():
            rows = [row for row in self.written_rows if (row.action, row.collection) == (action, collection)]
            matches = await self._matching_rules(action, collection, [row.key for row in rows])
            for row in rows:
                is_self = collection.is_same(USERS) and row.key == self.access.user
                if row.key in matches:  # a row may have been deleted again
                    self.policy.check(action, collection, matches[row.key], row.fields, is_self=is_self)

    async def _matching_rules(
        self, action: str, collection: Collection, keys: Iterable[Any], existing: Iterable[Any] | None = None
    ) -> dict[Any, Sequence[bool]]:
        """Return which rules match each row, by key; `existing` are the keys that have a row, if known."""
        rules = self.policy.rules(action, collection)
        if all(rule.filter == MATCH_ALL for rule in rules):
            existing = await self.rows(collection).existing(keys) if existing is None else existing
            return {key: (True,) * len(rules) for key in existing}
        scoped = self.policy.scope(action, collection)
        rows = await self.writer.rows(self.writer.prepare(select_rule_matches(scoped)), {KEYS_PARAMETER: list(keys)})
        return {row[0]: tuple(map(bool, row[1:])) for row in rows}

    async def readable(self, payload: Payload) -> bool:
        """Return whether the caller may read every field of a payload on that very row."""
        collection = self._registry.own(payload.collection)
        if self.access.admin:
            return True
        if not payload.fields <= self.access.fields("read", collection):
            return False
        matches = await self._matching_rules("read", collection, [payload.key])
        try:
            self.policy.check("read", collection, matches.get(payload.key, ()), payload.fields, is_self=True)
        except Forbidden:
            return False
        return True

    def _own(self, payload: Payload) -> Payload:
        """Return a payload for the collection of this registry, as code that writes built-in fields names another."""
        collection = self._registry.own(payload.collection)
        return payload if payload.collection is collection else replace(payload, collection=collection)

    async def _column_values(self, rules: Sequence[Rule], payload: Payload, link_values: FieldValues) -> RowValues:
        """Return the values of a row's columns, after validating them and writing its to-one relations."""
        values = {**payload.values, **link_values}
        all_rules = [*rules, *field_rules(payload.collection, values)]
        await self._presets.validate(all_rules, values_as_sent(values), payload.path)
        await hash_values(values, self.services, self.budget)
        for field, inner in payload.to_one.items():
            values[field] = await self.write_to_one(inner)
        return values
