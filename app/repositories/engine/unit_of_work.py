"""One root field's writes: every row judged before and after, everything told, and nothing kept that can't stand."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from app.core.caller import Caller, ClientInfo
from app.core.errors import (
    Forbidden,
    InvalidPayload,
)
from app.db.database import RetryTransaction
from app.db.transaction import WriteTransaction
from app.policy.access_queries import read_access_state, with_access_state
from app.policy.permission_summary import PermissionGrant
from app.policy.resolver import PolicyResolver
from app.policy.rules import Access, Rule
from app.policy.write_resolver import WriteResolver
from app.query import sql_writes
from app.query.collection import USERS, Collection, Field
from app.query.filter import MATCH_ALL
from app.query.limits import check_complexity
from app.query.payload import Payload
from app.query.read import FieldSelection, Read
from app.query.results import Row, row_decoder
from app.query.sql_select import build_select
from app.query.sql_writes import KEYS_PARAMETER, select_rule_matches
from app.repositories.engine.audit_log import AuditLog, PendingWrite
from app.repositories.engine.collection_rules import DirectoryRules
from app.repositories.engine.constraints import check_foreign_keys, check_required, check_unique
from app.repositories.engine.context import AffectedRights, RowValues, TouchedFiles, WrittenRow
from app.repositories.engine.nested_writes import NOTHING, NestedWriter
from app.repositories.engine.presets import PresetApplier
from app.repositories.engine.table import RowStore
from app.repositories.services import Services

ORDER = "__key"
"""Where a row's key stands while rows are put in order; no client's name begins so."""


class UnitOfWork(NestedWriter):
    """What one caller writes in one transaction, with the rights it had when that began.

    `settled` says that nobody else can change those meanwhile, `apart` that the database keeps e-mail addresses apart.
    """

    def __init__(
        self,
        writer: WriteTransaction,
        caller: Caller,
        via: ClientInfo,
        access: Access,
        services: Services,
        rules: DirectoryRules,
        *,
        settled: bool = False,
        apart: bool = False,
    ) -> None:
        self.isolated, self._apart = settled, apart
        self.writer, self.caller, self.access = writer, caller, access
        self.services, self.now = services, services.clock()
        self.policy = WriteResolver(access, self.now)
        self._rules = rules
        self.affected = AffectedRights()
        self.pending: list[WrittenRow] = []
        self.signed_out_self = False
        """Whether the caller took its own row away, or what it signed in with."""
        self.files = TouchedFiles()
        self._filling = PresetApplier(self.policy, writer, services.limits.max_depth)
        self._trail = AuditLog(writer, access.user or caller.user, caller, via)

    def rows(self, collection: Collection) -> RowStore:
        return RowStore(self.writer, collection)

    async def create(
        self, payload: Payload, linked: Mapping[Field, Any] = NOTHING, decided: Mapping[Field, Any] = NOTHING
    ) -> Any:
        """As it is said of `Links`; what is `decided` isn't the caller's to say, and takes no right to its fields."""
        collection, fields = payload.collection, payload.fields | linked.keys()
        rules = self.policy.rules("create", collection)
        self.policy.require_fields("create", collection, fields)
        payload = await self._filling.apply(rules, await self._rules.of(collection).expand_legacy(self, payload, None))
        mark = self._trail.mark()
        values = await self._values(rules, payload, {**linked, **decided})
        await self._rules.of(collection).before_create(self, values)
        check_required(collection, values, payload.path)
        await check_unique(self.writer, collection, values, apart=self._apart)
        await check_foreign_keys(self.writer, payload, values)
        if collection.key.kind == "uuid":
            values.setdefault(collection.key, str(uuid4()))
        key = values.get(collection.key)
        doing: PendingWrite | None = PendingWrite(sql_writes.insert_row, values)
        if payload.to_many or key is None:
            key, doing = await self.rows(collection).insert(values), None
        for member, written in payload.to_many.items():
            await self.write_to_many(member, key, written, fresh=True)
        await self._trail.record_revision("create", collection, key, values, values, mark, doing)
        await self._rules.of(collection).after_create(self, key, values)
        self.pending.append(WrittenRow("create", collection, key, fields))
        return key

    async def update(
        self,
        collection: Collection,
        keys: Iterable[Any],
        payload: Payload,
        linked: Mapping[Field, Any] = NOTHING,
        decided: Mapping[Field, Any] = NOTHING,
    ) -> None:
        """As it is said of `Links`; of what is `decided` as it is of `create`."""
        keys = list(dict.fromkeys(keys))
        fields = (payload.fields | linked.keys()) - {collection.key}
        self.policy.require_fields("update", collection, fields)
        if payload.key is not None and keys != [payload.key]:
            raise InvalidPayload(f'"{collection.key.name}" says which row it is, and can\'t be changed')
        stored = await self.rows(collection).fetch_for_update(keys)
        verdicts = await self._reached("update", collection, keys, stored)
        for key in keys:
            own = collection is USERS and key == self.access.user
            rules = self.policy.check("update", collection, verdicts.get(key, ()), fields, is_self=own)
            await self._update(rules, stored[key], payload, {**linked, **decided})
            self.pending.append(WrittenRow("update", collection, key, fields))

    async def _update(
        self, rules: Sequence[Rule], row: RowValues, payload: Payload, linked: Mapping[Field, Any]
    ) -> None:
        collection, key = payload.collection, row[payload.collection.key]
        payload = await self._filling.apply(rules, await self._rules.of(collection).expand_legacy(self, payload, row))
        mark = self._trail.mark()
        values = await self._values(rules, payload, linked)
        values.pop(collection.key, None)
        await self._rules.of(collection).before_update(self, row, values)
        changed = {member: value for member, value in values.items() if row[member] != value}
        await check_unique(self.writer, collection, changed, key, apart=self._apart)
        await check_foreign_keys(self.writer, payload, changed)
        doing = PendingWrite(sql_writes.update_row, changed, key) if changed else None
        if payload.to_many and changed:
            await self.rows(collection).update(key, changed)
            doing = None
        for member, written in payload.to_many.items():
            await self.write_to_many(member, key, written, fresh=False)
        if changed or self._trail.mark() > mark:
            await self._trail.record_revision("update", collection, key, {**row, **changed}, changed, mark, doing)

    async def remove(self, collection: Collection, keys: Iterable[Any]) -> None:
        keys = list(dict.fromkeys(keys))
        self.policy.rules("delete", collection)
        stored = await self.rows(collection).fetch_for_update(keys)
        verdicts = await self._reached("delete", collection, keys, stored)
        for key in keys:
            if key in stored or not self.access.admin:
                self.policy.check("delete", collection, verdicts.get(key, ()), ())
        self.signed_out_self = self.signed_out_self or (collection is USERS and self.access.user in stored)
        await self._rules.of(collection).before_delete(self, stored)
        await self.rows(collection).delete(stored)
        for key in stored:
            await self._trail.record("delete", collection, key)

    async def update_derived(self, collection: Collection, row: RowValues, values: RowValues) -> None:
        """Changes a row as a consequence of another's change: nobody's right is asked, but it is told."""
        key, mark = row[collection.key], self._trail.mark()
        doing = PendingWrite(sql_writes.update_row, values, key)
        await self._trail.record_revision("update", collection, key, {**row, **values}, values, mark, doing)

    async def is_unchanged(self, payload: Payload, row: Mapping[Field, Any]) -> bool:
        if any(True for _ in payload.nested()) or any(row[member] != value for member, value in payload.values.items()):
            return False
        spelled = await self._rules.of(payload.collection).expand_legacy(self, payload, dict(row))
        return not spelled.to_many and await self.readable(payload)

    async def read(self, asked: Read) -> list[Row]:
        """Rows as the caller may see them, with the rights it had when this began; raises as reading them does.

        And Overtaken where those aren't its rights any more.
        """
        check_complexity(asked, self.services.limits.max_depth)
        scoped = PolicyResolver(self.access, self.now).scope(asked)
        row = await self.writer.fetch(with_access_state(self.caller, self.now, build_select(scoped)))
        self.check_access_current(row)
        return row_decoder(scoped)(row[-1])

    async def read_back(self, asked: Read, keys: Sequence[Any]) -> list[Row]:
        """The rows that were written, in the order of their keys where no other is asked for."""
        if len(keys) < 2 or asked.sort:
            return await self.read(asked)
        rows = await self.read(asked.selecting((*asked.select, FieldSelection(ORDER, asked.collection.key))))
        places = {str(key): at for at, key in enumerate(keys)}
        rows.sort(key=lambda row: places[str(row.pop(ORDER))])
        return rows

    def check_access_current(self, row: Any) -> None:
        """Raises Overtaken where somebody else changed rights meanwhile: with others this might not have been written.

        `row` begins with the caller's standing.
        """
        now, then = read_access_state(row), self.access.state
        if self.isolated or self.caller.system or now == then:
            return
        if now.token != then.token or not self.changed_self:
            raise RetryTransaction

    @property
    def changed_self(self) -> bool:
        """Whether the caller's own row was changed, or is gone."""
        return (
            any(one.collection is USERS and one.key == self.access.user for one in self.pending) or self.signed_out_self
        )

    async def grants(self) -> Sequence[PermissionGrant]:
        """The permissions behind the caller's rights, as they were before anything of this was written."""
        if self.access.admin:
            return ()
        access, grants = await self.services.access_cache.grants(self.caller)
        if access.state.token != self.access.state.token:
            raise RetryTransaction
        return grants

    async def check_written_rows(self) -> None:
        """Raises Forbidden where a row that was written isn't within its writer's rules any more."""
        places = dict.fromkeys((pending.action, pending.collection) for pending in self.pending)
        for action, collection in places if not self.access.admin else ():
            mine = [one for one in self.pending if (one.action, one.collection) == (action, collection)]
            verdicts = await self._reached(action, collection, [one.key for one in mine])
            for one in mine:
                own = collection is USERS and one.key == self.access.user
                if one.key in verdicts:  # what was written may have gone again
                    self.policy.check(action, collection, verdicts[one.key], one.fields, is_self=own)

    async def _reached(
        self, action: str, collection: Collection, keys: Iterable[Any], there: Iterable[Any] | None = None
    ) -> dict[Any, Sequence[bool]]:
        """For each of the keys that there is a row of, which rules reach it; `there` are those, if they are known."""
        rules = self.policy.rules(action, collection)
        if all(rule.filter == MATCH_ALL for rule in rules):
            there = await self.rows(collection).existing(keys) if there is None else there
            return {key: (True,) * len(rules) for key in there}
        scoped = self.policy.scope(action, collection)
        found = await self.writer.rows(self.writer.prepare(select_rule_matches(scoped)), {KEYS_PARAMETER: list(keys)})
        return {row[0]: tuple(map(bool, row[1:])) for row in found}

    async def readable(self, payload: Payload) -> bool:
        """Whether the caller may read every field that a payload names, on that very row."""
        collection = payload.collection
        if self.access.admin:
            return True
        if not payload.fields <= self.access.fields("read", collection):
            return False
        verdicts = await self._reached("read", collection, [payload.key])
        try:
            self.policy.check("read", collection, verdicts.get(payload.key, ()), payload.fields, is_self=True)
        except Forbidden:
            return False
        return True

    async def _values(self, rules: Sequence[Rule], payload: Payload, linked: Mapping[Field, Any]) -> RowValues:
        """The values of a row's own columns, once those it points at are written and its validations hold."""
        values = {**payload.values, **linked}
        await self._filling.validate(rules, values, payload.path)
        for member, inner in payload.to_one.items():
            values[member] = await self.write_to_one(inner)
        return values
