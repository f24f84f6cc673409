"""Evaluates tests of policies within a transaction, by the rules and predicates of the policy resolver itself."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import select

from app.core.caller import Caller
from app.core.errors import FailedValidation, Forbidden, InvalidQuery, MultipleErrors, RollcallError
from app.db.models import Role
from app.db.transaction import WriteTransaction
from app.policy.access_cache import AccessCache
from app.policy.expectations import ActionExpectation, PolicyTest, RowsExpectation, TestFailure, TestSubject
from app.policy.resolver import PolicyResolver
from app.policy.rules import READ, Access, Rule
from app.policy.unreadable_rules import SilentRuleLog
from app.policy.write_resolver import WriteResolver
from app.query.aggregate import Aggregation
from app.query.collection import PREFIX, USERS, Collection, Field
from app.query.filter import MATCH_ALL
from app.query.parameters import QueryParser
from app.query.payload import parse_key, parse_payload
from app.query.read import Read
from app.query.results import Row, row_decoder
from app.query.sql_select import build_select
from app.query.sql_writes import KEYS_PARAMETER, select_rule_matches
from app.repositories.engine.custom_values import values_as_sent
from app.repositories.engine.presets import PresetApplier
from app.repositories.engine.table import RowStore
from app.repositories.services import Services

Expectation = ActionExpectation | RowsExpectation

_ROLES = Role.__table__
ACTIVE = "active"
EMAIL = "email"
MAX_LISTED = 10
"""How many rows a failure lists."""


class InvalidExpectation(Exception):
    """The user, role, item, collection or field that a test names does not exist, or its values are invalid."""


class _NoActivity:
    """Records no activity, because no user makes a request."""

    def record(self, user: str | None) -> None:
        """Record nothing."""

    def record_token(self, token: str, ip: str | None) -> None:
        """Record nothing."""

    def discard(self, user: str | None, token: str | None) -> None:
        """Discard nothing."""


class PolicyTestRunner:
    """Runs tests of policies against the rights and rows that a transaction sees."""

    def __init__(self, writer: WriteTransaction, services: Services) -> None:
        self._writer, self._services, self._now = writer, services, services.clock()
        self._registry = services.registry
        self._cache = AccessCache(
            writer, _NoActivity(), SilentRuleLog(), services.limits.size, services.clock, services.registry
        )
        self._accesses: dict[TestSubject, Access | None] = {}

    async def failures(self, tests: Iterable[PolicyTest]) -> list[TestFailure]:
        """Return every expectation that does not hold."""
        failures: list[TestFailure] = []
        for test in tests:
            try:
                access = await self._access(test.subject)
            except InvalidExpectation as error:
                failures.append(TestFailure(test, test.at, str(error)))
                continue
            expectations: list[Expectation] = [*test.actions, *test.rows]
            for expectation in expectations:
                try:
                    reason = await self._reason(test.subject, access, expectation)
                except InvalidExpectation as error:
                    reason = str(error)
                if reason is not None:
                    failures.append(TestFailure(test, expectation.at, reason))
        return failures

    async def _reason(self, subject: TestSubject, access: Access | None, expectation: Expectation) -> str | None:
        """Return why an expectation does not hold; None if it does."""
        if isinstance(expectation, RowsExpectation):
            return await self._rows_reason(subject, access, expectation)
        allowed = access is not None and await self._is_allowed(access, expectation)
        if access is None:  # the names are checked nevertheless
            self._field(self._collection(expectation.collection), expectation.field)
        if allowed == expectation.allowed:
            return None
        inactive = " (the user is not active)" if access is None else ""
        return f"{subject} {'may' if allowed else 'may not'} {expectation}{inactive}, which is not expected."

    async def _access(self, subject: TestSubject) -> Access | None:
        """Return the subject's access; None for a user who is not active, none of whose requests is answered."""
        if subject not in self._accesses:
            self._accesses[subject] = await self._load_access(subject)
        return self._accesses[subject]

    async def _load_access(self, subject: TestSubject) -> Access | None:
        if subject.kind == "role":
            return await self._cache.inspect_role(await self._role(subject.name), subject.ip)
        user = await self._user(subject.name) if subject.kind == "user" else None
        access, *_ = await self._cache.inspect(Caller(user=user, ip=subject.ip))
        return access if user is None or access.state.status == ACTIVE else None

    async def _role(self, name: str) -> str:
        rows = await self._writer.execute(select(_ROLES.c.id).where(_ROLES.c.name == name))
        keys = [str(row[0]) for row in rows]
        if not keys:
            keys = [str(key) for key in await self._existing_roles(name)]
        if len(keys) != 1:
            raise InvalidExpectation(
                f"there are {len(keys)} roles {name!r}." if keys else f"there is no role {name!r}."
            )
        return keys[0]

    async def _existing_roles(self, key: str) -> Iterable[Any]:
        roles = self._registry[f"{PREFIX}roles"]
        try:
            return await RowStore(self._writer, roles).existing([parse_key(roles, key)])
        except Forbidden:
            return ()

    async def _user(self, email: str) -> str:
        users = self._registry.own(USERS)
        keys = await RowStore(self._writer, users).keys_by_email(users.fields[EMAIL], email)
        if not keys:
            raise InvalidExpectation(f"there is no user with the email address {email}.")
        return str(keys[0])

    async def _is_allowed(self, access: Access, expectation: ActionExpectation) -> bool:
        collection = self._collection(expectation.collection)
        field = self._field(collection, expectation.field)
        fields = [] if field is None else [field]
        key = None if expectation.item is None else await self._key(collection, expectation.item)
        policy = WriteResolver(access, self._now)
        try:
            rules = policy.rules(expectation.action, collection)
            if expectation.action == READ:
                if not access.fields(READ, collection).issuperset(fields):
                    return False
            else:
                policy.require_fields(expectation.action, collection, fields)
            if key is not None:
                rules = await self._matching_rules(policy, expectation.action, collection, key, fields)
            if expectation.payload is not None:
                await self._check_payload(policy, rules, collection, expectation)
        except (Forbidden, FailedValidation, MultipleErrors):
            return False
        except RollcallError as error:
            raise InvalidExpectation(f"the payload is invalid: {error.text}") from None
        return True

    async def _matching_rules(
        self, policy: WriteResolver, action: str, collection: Collection, key: Any, fields: list[Field]
    ) -> tuple[Rule, ...]:
        """Return the rules that match an item.

        Raises:
            Forbidden: There is none, or none of them includes one of the fields.
        """
        is_self = collection.is_same(USERS) and key == policy.access.user
        if all(rule.filter == MATCH_ALL for rule in policy.rules(action, collection)):
            matches: tuple[bool, ...] = (True,) * len(policy.rules(action, collection))
        else:
            statement = self._writer.prepare(select_rule_matches(policy.scope(action, collection)))
            rows = await self._writer.rows(statement, {KEYS_PARAMETER: [key]})
            matches = tuple(map(bool, rows[0][1:])) if rows else ()
        stored = [field for field in fields if field.derivation is None]
        return policy.check(action, collection, matches, stored, is_self=is_self or action == READ)

    async def _check_payload(
        self, policy: WriteResolver, rules: tuple[Rule, ...], collection: Collection, expectation: ActionExpectation
    ) -> None:
        """Raise what a write of the payload would raise because of fields, presets and validation."""
        payload = parse_payload(collection, expectation.payload, self._services.limits.max_depth)
        policy.require_fields(expectation.action, collection, payload.fields)
        presets = PresetApplier(policy, self._writer, self._services, self._services.new_budget())
        payload = await presets.apply(rules, payload)
        await presets.validate(rules, values_as_sent(payload.values), payload.path)

    async def _rows_reason(
        self, subject: TestSubject, access: Access | None, expectation: RowsExpectation
    ) -> str | None:
        if expectation.values is None:
            rows = await self._read(access, expectation, lambda parser, *query: parser.count(*query))
            count = int(rows[0]["count"]) if rows else 0
            if count == expectation.count:
                return None
            return f"{subject} sees {count} rows of {expectation.collection}, not {expectation.count}."
        rows = await self._read(access, expectation, lambda parser, *query: parser.read(*query))
        actual, expected = Counter(row[expectation.field] for row in rows), Counter(expectation.values)
        parts = [
            f"{text} {', '.join(str(value) for value in list(values)[:MAX_LISTED])}"
            for text, values in (("sees", actual - expected), ("does not see", expected - actual))
            if values
        ]
        return f"{subject} {' and '.join(parts)} of {expectation.collection}, which is not expected." if parts else None

    async def _read(
        self, access: Access | None, expectation: RowsExpectation, parse: Callable[..., Read | Aggregation]
    ) -> list[Row]:
        """Return what `parse` reads of the rows that match the filter; nothing if nothing may be read."""
        collection = self._collection(expectation.collection)
        field = self._field(collection, expectation.field)
        if access is None or field is None:
            return []
        limits = self._services.limits
        parser = QueryParser(limits, lambda target: access.fields(READ, target), limits.size_counter())
        query = {"fields": [field.name], "filter": dict(expectation.filter), "limit": -1}
        try:
            scoped = PolicyResolver(access, self._now).scope(parse(parser, collection, query))
        except InvalidQuery as error:
            raise InvalidExpectation(f"the filter cannot be read: {error.reason}.") from None
        except Forbidden:
            return []
        row = await self._writer.fetch(select(build_select(scoped)))
        return row_decoder(scoped)(row[0])

    async def _key(self, collection: Collection, item: str | int) -> Any:
        if collection.is_same(USERS) and isinstance(item, str) and "@" in item:
            return await self._user(item)
        try:
            key = parse_key(collection, item)
        except Forbidden:
            raise InvalidExpectation(f"{item!r} is no key of {collection.name}.") from None
        if not await RowStore(self._writer, collection).existing([key]):
            raise InvalidExpectation(f"{collection.name} has no row {item!r}.")
        return key

    def _collection(self, name: str) -> Collection:
        collection = self._registry.get(name) or self._registry.get(f"{PREFIX}{name}")
        if collection is None:
            raise InvalidExpectation(f"there is no collection {name!r}.")
        return collection

    def _field(self, collection: Collection, name: str | None) -> Field | None:
        if name is not None and name not in collection.fields:
            raise InvalidExpectation(f"{collection.name} has no field {name!r}.")
        return None if name is None else collection.fields[name]
