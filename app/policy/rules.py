"""Permission rules as data, and the access that a caller's policies add up to."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, Self

import orjson

from app.core.bindings import Bindings
from app.core.clock import Clock
from app.policy.unreadable_rules import PARSE_ERRORS, unreadable_reason
from app.query.collection import BUILT_IN, Collection, Field, Registry
from app.query.filter import MATCH_ALL, Filter, parse_filter
from app.query.size import DEFAULT_SIZE_LIMITS, SizeCounter, SizeLimits

EVERY_FIELD = "*"
READ, DELETE = "read", "delete"


@dataclass(frozen=True, slots=True)
class Rule:
    """One permission: the rows it matches, and the fields of them that may be read or written.

    `named` are the fields that it lists by name, not by `*`. Written values must satisfy `validation`. `presets`, the
    text of a JSON object, are the values of fields that a payload doesn't contain.
    """

    filter: Filter
    fields: frozenset[Field]
    named: frozenset[Field] = frozenset()
    validation: Filter = MATCH_ALL
    presets: str | None = None
    only_conditions: bool = False
    """Whether it grants nothing, but validates and presets what other rules allow to write."""


ANONYMOUS = "anonymous"
"""The owner of the statements of all anonymous callers."""


class ParsedRule(NamedTuple):
    """The rule of a permission row, None if it grants nothing, and the part of the row that can't be read, if any."""

    rule: Rule | None
    problem: str | None = None


class AccessState(NamedTuple):
    """The database's view of a caller at the moment of a statement.

    `token` is the version of all permissions; it changes with each write that affects them. `live` is whether the
    session of a signed token is still active, or TFA_SETUP_REQUIRED.
    """

    token: str
    user: str | None = None
    status: str | None = None
    role: str | None = None
    live: bool | int = True

    @classmethod
    def read(cls, row: Any) -> Self:
        """Return the access state from the first columns of a row that begins with it."""
        return cls(*row[: len(cls._fields)])


AccessVersion = tuple[AccessState, datetime | None]
"""The access state, and when the first of the policies ends: two accesses of a caller with equal ones are equal."""


class AccessShape:
    """The part of an access that many callers share: the same queries of theirs are the same statements.

    It keeps its rules alive, because shapes are distinguished by the identities of their rules.
    """

    def __init__(
        self, rules: Mapping[tuple[str, str], tuple[Rule, ...]], schema_rights: frozenset[str] = frozenset()
    ) -> None:
        self.rules, self.schema_rights = rules, schema_rights

    def fields(self, action: str, collection: Collection) -> frozenset[Field]:
        """Return the fields that at least one rule grants on some row."""
        return _with_derived(action, collection, self._granted)

    def _granted(self, action: str, collection: Collection) -> tuple[Rule, ...]:
        return self.rules.get((action, collection.name), ())


@dataclass(frozen=True, slots=True, eq=False)
class Access:
    """Everything a caller may do: the sum of its policies as of one access state. Compared by identity.

    `roles` are the caller's role and its ancestors; `policies` are those in force at the caller's IP address;
    `enforce_tfa` is whether one of them requires TFA. `rules` are by (action, collection); an admin needs none.
    """

    state: AccessState
    roles: tuple[str, ...]
    policies: tuple[str, ...]
    admin: bool
    app: bool
    enforce_tfa: bool
    rules: Mapping[tuple[str, str], tuple[Rule, ...]]
    registry: Registry = BUILT_IN
    """The collections and fields that the rules refer to."""
    shape: AccessShape = field(default_factory=lambda: AccessShape({}), compare=False)
    tfa_setup_required: bool = False
    """Whether TFA must be set up before anything else is allowed."""
    owner: str | None = None
    """Who shares connections for the caller's statements: the user, or all anonymous callers together.

    None for trusted code.
    """
    bindings: Bindings = field(default_factory=dict, compare=False, repr=False)
    """The values that plans bind for this caller and its access."""
    api_token: str | None = None
    """The id of the API token that the caller uses, if any."""
    read_only: bool = False
    """Whether the caller may write nothing, because its API token is read-only."""
    scope: frozenset[str] | None = None
    """The policies that the API token is limited to; None for all. `$CURRENT_POLICIES` are those of the user anyway."""
    schema_rights: frozenset[str] = frozenset()
    """The tables among `directus_collections`, `_fields` and `_relations` whose contents the caller may list."""
    ends: Mapping[str, datetime] = field(default_factory=dict, compare=False)
    """When each policy that the caller holds for a limited time ends, whatever its IP address."""
    expires: datetime | None = None
    """The first of these times and the end of the API token, from which on this access is no longer the caller's."""

    @property
    def version(self) -> AccessVersion:
        """What distinguishes this access from other ones of the same caller."""
        return self.state, self.expires

    def has_expired(self, clock: Clock) -> bool:
        """Return whether a policy has ended since this access was loaded."""
        return self.expires is not None and clock() >= self.expires

    def is_current(self, row: Any, clock: Clock) -> bool:
        """Return whether this is still the caller's access, by a row of a statement that begins with its state."""
        return bool(AccessState.read(row) == self.state) and not self.has_expired(clock)

    @property
    def user(self) -> str | None:
        """The caller's user id; None if anonymous."""
        return self.state.user

    @property
    def granting(self) -> tuple[str, ...]:
        """Return the policies whose rights the caller has: those within the scope of its API token."""
        return self.policies if self.scope is None else tuple(key for key in self.policies if key in self.scope)

    def granted(self, action: str, collection: Collection) -> tuple[Rule, ...]:
        """Return the rules for an action on a collection; none means that nothing is granted."""
        if self.admin:
            return (unrestricted_rule(collection),)
        return self.rules.get((action, collection.name), ())

    def fields(self, action: str, collection: Collection) -> frozenset[Field]:
        """Return the fields that at least one rule grants on some row."""
        return _with_derived(action, collection, self.granted)


RulesFor = Callable[[str, Collection], tuple[Rule, ...]]


def _fields(rules: Iterable[Rule]) -> frozenset[Field]:
    return frozenset[Field]().union(*(rule.fields for rule in rules))


def _with_derived(action: str, collection: Collection, rules_for: RulesFor) -> frozenset[Field]:
    """Return the fields that rules grant, and the derived fields whose sources are all readable."""
    fields = _fields(rules_for(action, collection))
    derived = [field for field in collection.derived if action == READ and field not in fields]
    return fields.union(field for field in derived if _can_derive(collection, field, rules_for)) if derived else fields


def _can_derive(collection: Collection, field: Field, rules_for: RulesFor) -> bool:
    """Return whether a derived field's source and every relation on the path to it are readable."""
    derivation = field.derivation
    for relation in derivation.path if derivation else ():
        target = collection.target_of(relation)
        back = {target.fields[str(relation.link.foreign_key.name)]} if relation.many else set()
        if relation not in _fields(rules_for(READ, collection)) or not back <= _fields(rules_for(READ, target)):
            return False
        collection = target
    return derivation is not None and derivation.field in _fields(rules_for(READ, collection))


@lru_cache(maxsize=64)
def unrestricted_rule(collection: Collection) -> Rule:
    """Return the rule that grants every field of every row."""
    fields = frozenset(collection.fields.values())
    return Rule(MATCH_ALL, fields, fields)


@lru_cache(maxsize=1024)
def only_conditions(rule: Rule) -> Rule:
    """Return what a rule to create or update rows imposes on those who are not granted what it allows."""
    return replace(rule, fields=frozenset(), named=frozenset(), only_conditions=True)


def effective_rules(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Return the rules for one action without superfluous conditions; none if no rule grants anything."""
    granting = {only_conditions(rule) for rule in rules if not rule.only_conditions}
    return tuple(
        rule
        for rule in rules
        if granting
        and (not rule.only_conditions or (rule not in granting and (rule.validation != MATCH_ALL or rule.presets)))
    )


@lru_cache(maxsize=8192)
def parse_rule(
    action: str,
    collection: str,
    permissions: str | None,
    fields: str | None,
    validation: str | None = None,
    presets: str | None = None,
    limits: SizeLimits = DEFAULT_SIZE_LIMITS,
    registry: Registry = BUILT_IN,
) -> ParsedRule:
    """Parse a permission row: its JSON texts and its comma-separated `fields`.

    A missing or empty filter matches every row. There is no rule, so that the permission grants nothing, if the
    collection isn't served, a filter can't be read or is larger than the limits, or, except for deletes, the collection
    has none of the fields.
    Presets that can't be read are left out of the rule.
    """
    definition = registry.get(collection)
    if definition is None:
        return ParsedRule(None)
    names = set((fields or "").split(","))
    named = frozenset(field for name, field in definition.fields.items() if name in names)
    granted = frozenset(definition.fields.values()) if EVERY_FIELD in names else named
    if not granted and action != DELETE:
        return ParsedRule(None)
    column = "permissions"
    try:
        filter_ = parse_filter(definition, _load_filter(permissions, limits), stored=True)
        if action == READ:
            return ParsedRule(Rule(filter_, granted))
        column = "validation"
        raw_checks = _load_filter(validation, limits)
        checks = parse_filter(definition, raw_checks, stored=True, for_payload=True)
    except PARSE_ERRORS as error:
        return ParsedRule(None, f"{column}: {unreadable_reason(error)}")
    problem = _presets_problem(presets)
    return ParsedRule(Rule(filter_, granted, named, checks, None if problem else presets), problem)


def _load_filter(text: str | None, limits: SizeLimits) -> Any:
    raw = orjson.loads(text or "{}") or {}
    SizeCounter(limits).add_filter(raw)
    return raw


def _presets_problem(presets: str | None) -> str | None:
    try:
        return None if isinstance(orjson.loads(presets or "{}") or {}, dict) else "presets: not an object"
    except orjson.JSONDecodeError as error:
        return f"presets: {unreadable_reason(error)}"


APP_PERMISSIONS: tuple[tuple[str, dict[str, Any], str], ...] = (
    (
        "directus_users",
        {"id": {"_eq": "$CURRENT_USER"}},
        (
            "id,first_name,last_name,last_page,email,password,location,title,description,tags,provider,avatar,"
            "language,appearance,theme_light,theme_dark,tfa_secret,status,role"
        ),
    ),
    ("directus_roles", {"id": {"_in": "$CURRENT_ROLES"}}, "*"),
    ("directus_activity", {"user": {"_eq": "$CURRENT_USER"}}, "*"),
    ("directus_settings", {}, "*"),
)
"""The read permissions of app access, as Directus 11's `/permissions/me` reports them for a user with no others."""


@lru_cache(maxsize=8)
def app_rules(registry: Registry) -> Mapping[tuple[str, str], Rule]:
    """Return the rules of app access by action and collection."""
    return dict(_app_rules(registry))


def _app_rules(registry: Registry) -> Iterator[tuple[tuple[str, str], Rule]]:
    for collection, permissions, fields in APP_PERMISSIONS:
        rule = parse_rule(READ, collection, orjson.dumps(permissions).decode(), fields, registry=registry).rule
        if rule is None:
            raise ValueError(f"The app permission on {collection} is invalid")
        yield (READ, collection), rule
