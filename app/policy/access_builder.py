"""Builds the access of a caller from what the database holds of it."""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from app.core.ip_addresses import ip_matches
from app.policy.access_queries import TFA_SETUP_REQUIRED, AccessRows
from app.policy.grantor_rights import CONDITIONAL_ACTIONS
from app.policy.permission_summary import PermissionGrant, may_grant, parse_grant
from app.policy.rules import (
    APP_PERMISSIONS,
    EVERY_FIELD,
    READ,
    Access,
    Rule,
    app_rules,
    effective_rules,
    only_conditions,
    parse_rule,
    unrestricted_rule,
)
from app.policy.schema_rights import schema_rights
from app.policy.unreadable_rules import UnreadableRuleLog
from app.query.collection import Registry
from app.query.size import SizeLimits

RulesByTarget = Mapping[tuple[str, str], tuple[Rule, ...]]
"""Rules by action and collection."""


class AccessBuilder:
    """Builds accesses for one registry."""

    def __init__(self, registry: Registry, limits: SizeLimits, unreadable_rules: UnreadableRuleLog) -> None:
        self._registry, self._limits, self._unreadable_rules = registry, limits, unreadable_rules

    def build(self, rows: AccessRows, ip: str | None) -> Access:
        """Return the access that the rows of a caller add up to at an IP address."""
        state, policies, permissions, scope = rows.state, rows.policies, rows.permissions, rows.scope
        if state.live == TFA_SETUP_REQUIRED:
            return Access(
                state,
                (),
                (),
                admin=False,
                app=False,
                enforce_tfa=True,
                rules={},
                registry=self._registry,
                tfa_setup_required=True,
            )
        applicable = [row for row in policies if not row[1] or ip_matches(ip, row[1].split(","))]
        in_force = [row for row in applicable if scope is None or scope.includes(row[0])]
        policy_ids = {row[0] for row in in_force}
        admin, app = (any(row[flag] for row in in_force) for flag in (2, 3))
        read_only = scope is not None and scope.read_only
        token_end = [scope.expires] if scope is not None and scope.expires is not None else []
        # An admin is exempt from the conditions of policies; other owners of a token are subject to all of theirs.
        imposing = set[str]() if any(row[2] for row in applicable) else {row[0] for row in applicable} - policy_ids
        rules = self._rules(permissions, policy_ids, imposing, app=app)
        if read_only:
            rules = self._read_rules(rules, admin=admin)
        return Access(
            state=state,
            roles=tuple(row[0] for row in rows.roles),
            policies=tuple(sorted(row[0] for row in applicable)),
            admin=admin and not read_only,
            app=app,
            enforce_tfa=any(row[4] for row in in_force),
            rules=rules,
            api_token=scope.id if scope is not None else None,
            read_only=read_only,
            scope=scope.policies if scope is not None else None,
            schema_rights=schema_rights(
                ((row[1], row[2]) for row in permissions if row[0] in policy_ids), everything=app or admin
            ),
            registry=self._registry,
            ends=rows.ends,
            expires=min([*rows.ends.values(), *token_end], default=None),
        )

    def _rules(
        self, permissions: Iterable[list[Any]], granting: AbstractSet[str], imposing: AbstractSet[str], *, app: bool
    ) -> RulesByTarget:
        """Return the rules of the policies `granting`, and the conditions of those that are only `imposing` some."""
        by_key: dict[tuple[str, str], dict[Rule, None]] = {}
        for policy, action, collection, *texts, permission_id in permissions:
            is_granted = policy in granting
            if not is_granted and not (policy in imposing and action in CONDITIONAL_ACTIONS):
                continue
            rule, problem = parse_rule(action, collection, *texts, limits=self._limits, registry=self._registry)
            if problem is not None:
                self._unreadable_rules.report(permission_id, collection, action, problem)
            if rule is not None:
                by_key.setdefault((action, collection), {})[rule if is_granted else only_conditions(rule)] = None
        for key, rule in app_rules(self._registry).items() if app else ():
            by_key.setdefault(key, {})[rule] = None
        if not imposing:
            return {key: tuple(rules) for key, rules in by_key.items()}
        effective = ((key, effective_rules(rules)) for key, rules in by_key.items())
        return {key: rules for key, rules in effective if rules}

    def _read_rules(self, rules: RulesByTarget, *, admin: bool) -> RulesByTarget:
        """Return the rules to read among those of a caller, who may read everything as an admin."""
        if admin:
            return {(READ, one.name): (unrestricted_rule(one),) for one in self._registry.values()}
        return {target: found for target, found in rules.items() if target[0] == READ}

    def grants(self, access: Access, rows: AccessRows) -> Iterator[PermissionGrant]:
        """Yield the stored permissions that an access is made of, and those of app access."""
        granting = frozenset(access.granting)
        if access.read_only and any(row[2] for row in rows.policies if row[0] in granting):  # of an admin
            yield from (PermissionGrant(name, READ, {}, (EVERY_FIELD,), {}) for name in self._registry)
            return
        for policy, action, collection, rule, fields, validation, presets, _ in rows.permissions:
            if access.read_only and action != READ:
                continue
            if policy in granting and may_grant(action, rule, validation):
                yield parse_grant(action, collection, rule, fields, validation, presets)
        for collection, rule, fields in APP_PERMISSIONS if access.app else ():
            yield PermissionGrant(collection, READ, rule, tuple(fields.split(",")), {})
