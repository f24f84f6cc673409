"""What a policy grants, as data: rules, and the access that a caller's policies add up to."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from app.core.bindings import Bindings
from app.core.errors import RollcallError
from app.query.collection import COLLECTIONS, Collection, Field
from app.query.filter import MATCH_ALL, Filter, parse_filter

EVERY_FIELD = "*"
READ, DELETE = "read", "delete"


@dataclass(frozen=True, slots=True)
class Rule:
    """One permission: the rows it reaches, and the fields it shows or lets write of them.

    Of those fields `named` are called by their name, not by `*`. What is written by it has to hold to `validation`,
    and gets the `presets`, a JSON object's text, where nothing else is given.
    """

    filter: Filter
    fields: frozenset[Field]
    named: frozenset[Field] = frozenset()
    validation: Filter = MATCH_ALL
    presets: str | None = None


class AccessState(NamedTuple):
    """What the database says of a caller's claim at the moment of a statement.

    `token` is the version of everybody's rights; `live` whether the session behind a signed token still stands.
    """

    token: str
    user: str | None = None
    status: str | None = None
    role: str | None = None
    live: bool | int = True


class AccessShape:
    """What is alike in the rights of many callers: the same questions of theirs are the same statements.

    It holds its rules, so that none of them can be forgotten while their identities tell forms apart.
    """

    def __init__(self, rules: Mapping[tuple[str, str], tuple[Rule, ...]]) -> None:
        self.rules = rules

    def fields(self, action: str, collection: Collection) -> frozenset[Field]:
        """The fields that at least one rule shows, or lets write, on some row."""
        return _with_derived(action, collection, self._granted)

    def _granted(self, action: str, collection: Collection) -> tuple[Rule, ...]:
        return self.rules.get((action, collection.name), ())


@dataclass(frozen=True, slots=True, eq=False)
class Access:
    """Everything a caller may do: the sum of its policies, as of one standing. It is the same only as itself.

    `roles` are its role and that role's ancestors, `policies` those in force at its address; `enforce_tfa` whether
    one of them wants a second factor. `rules` are kept by (action, collection); an admin needs none.
    """

    standing: AccessState
    roles: tuple[str, ...]
    policies: tuple[str, ...]
    admin: bool
    app: bool
    enforce_tfa: bool
    rules: Mapping[tuple[str, str], tuple[Rule, ...]]
    form: AccessShape = field(default_factory=lambda: AccessShape({}), compare=False)
    tfa_setup_required: bool = False
    """Whether a second factor has to be set up before anything else may be done."""
    bindings: Bindings = field(default_factory=dict, compare=False, repr=False)
    """What the caller's claim and its rights give to a plan."""

    @property
    def user(self) -> str | None:
        """The caller's id, if it is somebody."""
        return self.standing.user

    def granted(self, action: str, collection: Collection) -> tuple[Rule, ...]:
        """The rules for an action on a collection; none means that nothing is granted."""
        if self.admin:
            return (unrestricted(collection),)
        return self.rules.get((action, collection.name), ())

    def fields(self, action: str, collection: Collection) -> frozenset[Field]:
        """The fields that at least one rule shows on some row."""
        return _with_derived(action, collection, self.granted)


RulesFor = Callable[[str, Collection], tuple[Rule, ...]]


def _fields(rules: Iterable[Rule]) -> frozenset[Field]:
    return frozenset[Field]().union(*(rule.fields for rule in rules))


def _with_derived(action: str, collection: Collection, granted: RulesFor) -> frozenset[Field]:
    """The fields that rules name, and those told from others all of which may be read where they stand."""
    named = _fields(granted(action, collection))
    derived = [field for field in collection.derived if action == READ and field not in named]
    return named.union(field for field in derived if _may_be_told(collection, field, granted)) if derived else named


def _may_be_told(collection: Collection, field: Field, granted: RulesFor) -> bool:
    """Whether every step to what a field is told from may be asked for as well."""
    here, how = collection, field.derivation
    for step in how.path if how else ():
        there = here.target_of(step)
        back = {there.fields[str(step.link.foreign.name)]} if step.many else set()
        if step not in _fields(granted(READ, here)) or not back <= _fields(granted(READ, there)):
            return False
        here = there
    return how is not None and how.field in _fields(granted(READ, here))


@lru_cache(maxsize=64)
def unrestricted(collection: Collection) -> Rule:
    """Every field of every row."""
    every = frozenset(collection.fields.values())
    return Rule(MATCH_ALL, every, every)


@lru_cache(maxsize=8192)
def rule(
    action: str,
    collection: str,
    permissions: str | None,
    fields: str | None,
    validation: str | None = None,
    presets: str | None = None,
) -> Rule | None:
    """A permission row's JSON texts, and its `fields` divided by commas -> the rule it is.

    A permission that can't be understood, or that names no field this collection has, grants nothing: None; but
    deleting takes no fields. A missing or empty filter reaches every row.
    """
    known = COLLECTIONS.get(collection)
    if known is None:
        return None
    words = set((fields or "").split(","))
    named = frozenset(field for name, field in known.fields.items() if name in words)
    granted = frozenset(known.fields.values()) if EVERY_FIELD in words else named
    if not granted and action != DELETE:
        return None
    try:
        reached = parse_filter(known, orjson.loads(permissions or "{}") or {})
        if action == READ:
            return Rule(reached, granted)
        return Rule(reached, granted, named, parse_validation(known, validation), presets)
    except (RollcallError, ValueError):
        return None


def parse_validation(collection: Collection, validation: str | None) -> Filter:
    """A permission's `validation` as a filter on payloads; raises InvalidQuery where it can't be understood."""
    return parse_filter(collection, orjson.loads(validation or "{}") or {}, of_payload=True)


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
"""What app access lets read, as Directus 11 answers `/permissions/me` to a user with nothing else."""


def _minimum() -> Iterator[tuple[tuple[str, str], Rule]]:
    for collection, permissions, fields in APP_PERMISSIONS:
        made = rule(READ, collection, orjson.dumps(permissions).decode(), fields)
        if made is None:
            raise ValueError(f"the app minimum on {collection} can't be read")
        yield ("read", collection), made


APP_RULES = dict(_minimum())
