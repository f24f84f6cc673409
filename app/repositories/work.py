"""One root field's writes: every row judged before and after, everything told, and nothing kept that can't stand."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from app.core.caller import Caller, Via
from app.core.errors import (
    FailedValidation,
    Forbidden,
    InvalidForeignKey,
    InvalidPayload,
    RecordNotUnique,
    RollcallError,
    Several,
)
from app.db.session import Overtaken
from app.db.writer import Writer
from app.policy.load import beside, standing
from app.policy.resolver import PolicyResolver
from app.policy.rules import Access, Rule
from app.policy.summary import Grant
from app.policy.validation import judge, variables
from app.policy.variables import known_values
from app.policy.writes import WriteResolver, presets
from app.query import write
from app.query.collection import ROLES, SETTINGS, USERS, Collection, Field, Kind, target
from app.query.expressions import looked_up
from app.query.filter import Variable, parse_variable
from app.query.limits import check_size
from app.query.payload import Payload, parse_payload, required
from app.query.read import Leaf, Read
from app.query.render import render
from app.query.shape import Row, shaper
from app.query.write import KEYS, reached
from app.repositories.access import (
    ACCESS,
    POLICIES,
    AccessInvariants,
    PermissionInvariants,
    PolicyInvariants,
    RoleInvariants,
)
from app.repositories.files import FILES, FileInvariants
from app.repositories.guards import UserLimits
from app.repositories.invariants import Invariants, Stored
from app.repositories.links import NOTHING, Links
from app.repositories.rows import Rows
from app.repositories.settings import SettingsInvariants
from app.repositories.shorthand import PERMISSIONS
from app.repositories.trail import Doing, Trail
from app.repositories.users import UserInvariants

if TYPE_CHECKING:
    from app.repositories.base import Services

PLAIN = Invariants()
INVARIANTS: Mapping[Collection, Invariants] = {
    USERS: UserInvariants(),
    ROLES: RoleInvariants(),
    POLICIES: PolicyInvariants(),
    ACCESS: AccessInvariants(),
    PERMISSIONS: PermissionInvariants(),
    SETTINGS: SettingsInvariants(),
    FILES: FileInvariants(),
}
ORDER = "__key"
"""Where a row's key stands while rows are put in order; no client's name begins so."""
FOLDED = frozenset({USERS.fields["email"]})
"""Fields in which two values that differ in case alone are the same."""


@dataclass(slots=True)
class Touched:
    """What a write may have granted, or taken from somebody: looked into once all of it is written."""

    roles: set[str] = field(default_factory=set)
    """Roles that somebody was given, or that others now inherit from."""
    policies: set[str] = field(default_factory=set)
    """Policies that were attached to a role, to a user, or to everybody."""
    edited: set[str] = field(default_factory=set)
    """Policies that say something else than before."""
    permissions: set[int] = field(default_factory=set)
    users: set[str] = field(default_factory=set)
    """Other people whose credentials were changed."""
    admins: bool = False
    """Whether somebody may have ceased to be an admin, or to get in."""
    counts: bool = False
    """Whether there may be more users of a kind."""

    def needs_turn(self, limits: UserLimits) -> bool:
        """Whether what is looked into has to stay as it is until the end."""
        return self.admins or (self.counts and limits != UserLimits())


@dataclass(frozen=True, slots=True)
class Pending:
    """A row that was written, and which fields of it: it has to be within its writer's rules afterwards too."""

    action: str
    collection: Collection
    key: Any
    fields: frozenset[Field]


class Work(Links):
    """What one caller writes in one transaction, with the rights it had when that began.

    `settled` says that nobody else can change those meanwhile, `apart` that the database keeps e-mail addresses apart.
    """

    def __init__(
        self,
        writer: Writer,
        caller: Caller,
        via: Via,
        access: Access,
        services: "Services",
        *,
        settled: bool = False,
        apart: bool = False,
    ) -> None:
        self.settled, self._apart = settled, apart
        self.writer, self.caller, self.access = writer, caller, access
        self.services, self.now = services, services.clock()
        self.policy = WriteResolver(access, self.now)
        self.touched = Touched()
        self.pending: list[Pending] = []
        self.deposed = False
        """Whether the caller took its own row away, or what it signed in with."""
        self._trail = Trail(writer, access.user, caller, via)

    def rows(self, collection: Collection) -> Rows:
        return Rows(self.writer, collection)

    async def create(self, payload: Payload, linked: Mapping[Field, Any] = NOTHING) -> Any:
        collection, fields = payload.collection, payload.fields | linked.keys()
        rules = self.policy.rules("create", collection)
        self.policy.admit("create", collection, fields)
        payload = await self._filled(rules, await self.invariants(collection).spelled(self, payload, None))
        mark = self._trail.mark()
        values = await self._values(rules, payload, linked)
        await self.invariants(collection).creating(self, values)
        _check_required(collection, values, payload.path)
        await self._check_free(collection, values)
        await self._check_links(collection, payload, values)
        if collection.key.kind == "uuid":
            values.setdefault(collection.key, str(uuid4()))
        key = values.get(collection.key)
        doing: Doing | None = Doing(write.insertion, values)
        if payload.many or key is None:
            key, doing = await self.rows(collection).insert(values), None
        for member, written in payload.many.items():
            await self.let_point(member, key, written, fresh=True)
        await self._trail.revise("create", collection, key, values, values, mark, doing)
        await self.invariants(collection).created(self, key, values)
        self.pending.append(Pending("create", collection, key, fields))
        return key

    async def update(
        self, collection: Collection, keys: Iterable[Any], payload: Payload, linked: Mapping[Field, Any] = NOTHING
    ) -> None:
        keys = list(dict.fromkeys(keys))
        fields = (payload.fields | linked.keys()) - {collection.key}
        self.policy.admit("update", collection, fields)
        if payload.key is not None and keys != [payload.key]:
            raise InvalidPayload(f'"{collection.key.name}" says which row it is, and can\'t be changed')
        stored = await self.rows(collection).held(keys)
        verdicts = await self._reached("update", collection, keys, stored)
        for key in keys:
            own = collection is USERS and key == self.access.user
            rules = self.policy.check("update", collection, verdicts.get(key, ()), fields, own=own)
            await self._update(rules, stored[key], payload, linked)
            self.pending.append(Pending("update", collection, key, fields))

    async def _update(self, rules: Sequence[Rule], row: Stored, payload: Payload, linked: Mapping[Field, Any]) -> None:
        collection, key = payload.collection, row[payload.collection.key]
        payload = await self._filled(rules, await self.invariants(collection).spelled(self, payload, row))
        mark = self._trail.mark()
        values = await self._values(rules, payload, linked)
        values.pop(collection.key, None)
        await self.invariants(collection).updating(self, row, values)
        changed = {member: value for member, value in values.items() if row[member] != value}
        await self._check_free(collection, changed, key)
        await self._check_links(collection, payload, changed)
        doing = Doing(write.change, changed, key) if changed else None
        if payload.many and changed:
            await self.rows(collection).update(key, changed)
            doing = None
        for member, written in payload.many.items():
            await self.let_point(member, key, written, fresh=False)
        if changed or self._trail.mark() > mark:
            await self._trail.revise("update", collection, key, {**row, **changed}, changed, mark, doing)

    async def remove(self, collection: Collection, keys: Iterable[Any]) -> None:
        keys = list(dict.fromkeys(keys))
        self.policy.rules("delete", collection)
        stored = await self.rows(collection).held(keys)
        verdicts = await self._reached("delete", collection, keys, stored)
        for key in keys:
            if key in stored or not self.access.admin:
                self.policy.check("delete", collection, verdicts.get(key, ()), ())
        self.deposed = self.deposed or (collection is USERS and self.access.user in stored)
        await self.invariants(collection).deleting(self, stored)
        await self.rows(collection).delete(stored)
        for key in stored:
            await self._trail.record("delete", collection, key)

    async def adjust(self, collection: Collection, row: Stored, values: Stored) -> None:
        """Changes a row as a consequence of another's change: nobody's right is asked, but it is told."""
        key, mark = row[collection.key], self._trail.mark()
        doing = Doing(write.change, values, key)
        await self._trail.revise("update", collection, key, {**row, **values}, values, mark, doing)

    async def says_nothing_new(self, payload: Payload, row: Mapping[Field, Any]) -> bool:
        if any(True for _ in payload.nested()) or any(row[member] != value for member, value in payload.values.items()):
            return False
        spelled = await self.invariants(payload.collection).spelled(self, payload, dict(row))
        return not spelled.many and await self._readable(payload)

    async def read(self, asked: Read) -> list[Row]:
        """Rows as the caller may see them, with the rights it had when this began; raises as reading them does.

        And Overtaken where those aren't its rights any more.
        """
        check_size(asked, self.services.limits.depth)
        scoped = PolicyResolver(self.access, self.now).scope(asked)
        row = await self.writer.fetch(beside(self.caller, self.now, render(scoped)))
        self.confirm(row)
        return shaper(scoped)(row[-1])

    async def read_back(self, asked: Read, keys: Sequence[Any]) -> list[Row]:
        """The rows that were written, in the order of their keys where no other is asked for."""
        if len(keys) < 2 or asked.sort:
            return await self.read(asked)
        rows = await self.read(asked.of((*asked.select, Leaf(ORDER, asked.collection.key))))
        places = {str(key): at for at, key in enumerate(keys)}
        rows.sort(key=lambda row: places[str(row.pop(ORDER))])
        return rows

    def confirm(self, row: Any) -> None:
        """Raises Overtaken where somebody else changed rights meanwhile: with others this might not have been written.

        `row` begins with the caller's standing.
        """
        now, then = standing(row), self.access.standing
        if self.settled or self.caller.system or now == then:
            return
        if now.token != then.token or not self.of_oneself:
            raise Overtaken

    @property
    def of_oneself(self) -> bool:
        """Whether the caller's own row was changed, or is gone."""
        return any(one.collection is USERS and one.key == self.access.user for one in self.pending) or self.deposed

    async def grants(self) -> Sequence[Grant]:
        """The permissions behind the caller's rights, as they were before anything of this was written."""
        if self.access.admin:
            return ()
        access, grants = await self.services.book.grants(self.caller)
        if access.standing.token != self.access.standing.token:
            raise Overtaken
        return grants

    def invariants(self, collection: Collection) -> Invariants:
        """What must always hold for a collection."""
        return INVARIANTS.get(collection, PLAIN)

    async def judge(self) -> None:
        """Raises Forbidden where a row that was written isn't within its writer's rules any more."""
        places = dict.fromkeys((pending.action, pending.collection) for pending in self.pending)
        for action, collection in places if not self.access.admin else ():
            mine = [one for one in self.pending if (one.action, one.collection) == (action, collection)]
            verdicts = await self._reached(action, collection, [one.key for one in mine])
            for one in mine:
                own = collection is USERS and one.key == self.access.user
                if one.key in verdicts:  # what was written may have gone again
                    self.policy.check(action, collection, verdicts[one.key], one.fields, own=own)

    async def _reached(
        self, action: str, collection: Collection, keys: Iterable[Any], there: Iterable[Any] | None = None
    ) -> dict[Any, Sequence[bool]]:
        """For each of the keys that there is a row of, which rules reach it; `there` are those, if they are known."""
        scoped = self.policy.scope(action, collection)
        if scoped.plain:
            there = await self.rows(collection).present(keys) if there is None else there
            return {key: (True,) * len(scoped.conditions) for key in there}
        found = await self.writer.rows(self.writer.question(reached(scoped)), {KEYS: list(keys)})
        return {row[0]: tuple(map(bool, row[1:])) for row in found}

    async def _readable(self, payload: Payload) -> bool:
        """Whether the caller may read every field that a payload names, on that very row."""
        collection = payload.collection
        if self.access.admin:
            return True
        if not payload.fields <= self.access.fields("read", collection):
            return False
        verdicts = await self._reached("read", collection, [payload.key])
        try:
            self.policy.check("read", collection, verdicts.get(payload.key, ()), payload.fields, own=True)
        except Forbidden:
            return False
        return True

    async def _filled(self, rules: Sequence[Rule], payload: Payload) -> Payload:
        """The payload with what its rules fill in where it says nothing."""
        collection = payload.collection
        given = presets(rules)
        names = {member.name for member in payload.fields} | payload.shorthand.keys()
        missing = {name: value for name, value in given.items() if name in collection.fields and name not in names}
        if not missing:
            return payload
        resolved = {name: await self._resolved(value) for name, value in missing.items()}
        filled = parse_payload(collection, resolved, self.services.limits.depth, payload.path)
        return Payload(
            collection,
            {**filled.values, **payload.values},
            {**filled.ones, **payload.ones},
            {**filled.many, **payload.many},
            payload.shorthand,
            payload.path,
        )

    async def _resolved(self, value: Any) -> Any:
        variable = parse_variable(value) if isinstance(value, str) else None
        if variable is None:
            return value
        found = await self._all_of(variable)
        listed = variable.name in ("CURRENT_ROLES", "CURRENT_POLICIES")
        return list(found) if listed else next(iter(found), None)

    async def _all_of(self, variable: Variable, kind: Kind = "string") -> tuple[Any, ...]:
        if not variable.path:
            as_kind: Kind = "timestamp" if variable.name == "NOW" else kind
            return known_values(variable, as_kind, self.access, self.now)
        lookup = self.policy.lookup(variable)
        if lookup is None:
            return ()
        return tuple(row[0] for row in await self.writer.rows(self.writer.question(looked_up(lookup))))

    async def _values(self, rules: Sequence[Rule], payload: Payload, linked: Mapping[Field, Any]) -> Stored:
        """The values of a row's own columns, once those it points at are written and its validations hold."""
        values = {**payload.values, **linked}
        known = {
            variable: await self._all_of(variable)
            for rule in rules
            for variable in variables(rule.validation)
            if variable.path
        }

        def resolve(variable: Variable, kind: Kind) -> tuple[Any, ...]:
            return known[variable] if variable.path else known_values(variable, kind, self.access, self.now)

        errors: list[RollcallError] = []
        for rule in rules:
            errors += judge(rule.validation, values, resolve, payload.path)
        if errors:
            raise errors[0] if len(errors) == 1 else Several(errors)
        for member, inner in payload.ones.items():
            values[member] = await self.point(inner)
        return values

    async def _check_free(self, collection: Collection, values: Stored, own: Any = None) -> None:
        """Raises RecordNotUnique for a value that another row has but for its case, where the database doesn't."""
        for member in FOLDED.intersection(values):
            value = values[member]
            if value is None or (self._apart and (self.writer.postgresql or str(value).isascii())):
                continue
            if any(key != own for key in await self.rows(collection).taken(member, value)):
                raise RecordNotUnique(collection.name, member.name, f"[{value.lower()}]")

    async def _check_links(self, collection: Collection, payload: Payload, values: Stored) -> None:
        """Raises InvalidForeignKey for a key that leads to no row."""
        for member, value in values.items():
            if value is None or member in payload.ones or not (member.relation and member.stored.foreign_keys):
                continue
            if member.link.target == collection.name and value == values.get(collection.key):
                continue  # itself: whether it may is another question
            if not await self.rows(target(member)).present([value]):
                raise InvalidForeignKey(collection.name, member.name, value)


def _check_required(collection: Collection, values: Stored, path: Sequence[str]) -> None:
    missing = [
        FailedValidation(member.name, "required", path) for member in required(collection) if member not in values
    ]
    if missing:
        raise missing[0] if len(missing) == 1 else Several(missing)
