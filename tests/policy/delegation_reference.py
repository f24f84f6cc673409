"""A second implementation of who can do what with files, in plain Python over rows in memory, to judge delegation.

It shares no code with the app and compares no rules: it tries every write to a small universe of files, from every
address, with and without two-factor authentication (TFA), and compares the results.
"""

from collections.abc import Iterator
from functools import lru_cache
from ipaddress import ip_address, ip_network
from itertools import product

import orjson

FIELDS = ("title", "description", "location")
VALUES = ((None, "a", "b"), (None, "a"), (None, "a"))
FILES = [dict(zip(FIELDS, values, strict=True)) for values in product(*VALUES)]
UNSET = object()
PAYLOADS = [
    {name: value for name, value in zip(FIELDS, values, strict=True) if value is not UNSET}
    for values in product(*((UNSET, *values) for values in VALUES))
]
IPS = ("10.1.0.1", "10.2.0.1", "192.0.2.1")
ACTIVE = {"active", "invited", "unverified"}
"""The statuses of users who have, or can give themselves, the rights of their policies."""


class World:
    """The tables that decide who can do what: `{name: [row, …]}`, named without the prefix `directus_`."""

    def __init__(self, tables):
        self.tables = tables
        self.policies = {
            policy["id"]: Policy(policy, [row for row in tables["permissions"] if row["policy"] == policy["id"]])
            for policy in tables["policies"]
        }

    def holders(self):
        """Return the policies of every active user, of a new user of every role, and of the public."""
        public = self._attached(None, None)
        held = {("public", None): public}
        for role in self.tables["roles"]:
            held["role", role["id"]] = self._attached(None, role["id"])
        for user in self.tables["users"]:
            if user["status"] in ACTIVE:
                held["user", user["id"]] = self.of_user(user["id"])
        return held

    def of_user(self, key):
        """Return the policies of a user, whatever its status."""
        role = next((user["role"] for user in self.tables["users"] if user["id"] == key), None)
        return self._attached(key, role)

    def _attached(self, user, role):
        roles = set(self._ancestors(role))
        return frozenset(
            self.policies[row["policy"]]
            for row in self.tables["access"]
            if (user is not None and row["user"] == user)
            or row["role"] in roles
            or (role is None and row["role"] is None and row["user"] is None)
        )

    def _ancestors(self, role):
        parents = {row["id"]: row["parent"] for row in self.tables["roles"]}
        while role is not None:
            yield role
            role = parents[role]


class Policy:
    """A policy, compared by what it grants."""

    def __init__(self, row, permissions):
        self.admin, self.app, self.tfa = (bool(row[name]) for name in ("admin_access", "app_access", "enforce_tfa"))
        self.networks = tuple(row["ip_access"] or ())
        self.permissions = sorted((Permission(one) for one in permissions), key=lambda one: one.text)
        self._identity = (self.admin, self.app, self.tfa, self.networks, tuple(one.text for one in self.permissions))

    def __hash__(self):
        return hash(self._identity)

    def __eq__(self, other):
        return self._identity == other._identity

    def applies_at(self, ip):
        return not self.networks or any(ip_address(ip) in ip_network(network) for network in self.networks)


class Permission:
    def __init__(self, row):
        self.collection, self.action = row["collection"], row["action"]
        self.rule, self.validation, self.presets = (
            row[name] or {} for name in ("permissions", "validation", "presets")
        )
        self.fields = row["fields"] or []
        self.text = orjson.dumps([self.collection, self.action, self.rule, self.validation, self.presets, self.fields])

    def matches(self, file):
        return matches(self.rule, file)

    def lists(self, field):
        return "*" in self.fields or field in self.fields


def matches(filter_, values, *, written=False):
    """Return whether values match a filter; those of a payload (`written`) pass comparisons of fields not in it."""
    return all(_part_matches(name, condition, values, written) for name, condition in filter_.items())


def _part_matches(name, condition, values, written):
    if name in ("_and", "_or"):
        return (all if name == "_and" else any)(matches(part, values, written=written) for part in condition)
    return all(_compare(operator, operand, name, values, written) for operator, operand in condition.items())


def _compare(operator, operand, name, values, written):
    if operator == "_submitted":
        return name in values
    if written and name not in values:
        return True
    value = values[name]
    match operator:
        case "_eq":
            return value == operand
        case "_in":
            return value in operand
        case "_null":
            return (value is None) is operand
    raise AssertionError(operator)


def rights(policies, ip, *, has_tfa):
    """Return everything that the holder of policies can do from an address, as comparable items."""
    in_force = frozenset(policy for policy in policies if policy.applies_at(ip))
    return frozenset() if any(policy.tfa for policy in in_force) and not has_tfa else _rights(in_force)


@lru_cache(maxsize=2048)
def _rights(policies):
    permissions: dict[str, list[Permission]] = {action: [] for action in ("create", "read", "update", "delete")}
    other = set()
    for one in (one for policy in policies for one in policy.permissions):
        if one.collection == "directus_files":
            permissions[one.action].append(one)
        else:
            other.add((one.collection, one.action))
    flags = {name for policy in policies for name in ("admin", "app") if getattr(policy, name)}
    return frozenset(
        {
            *flags,
            *other,
            *(("read", index, field) for index, field in _readable(permissions["read"])),
            *(
                ("delete", index)
                for index, file in enumerate(FILES)
                if any(p.matches(file) for p in permissions["delete"])
            ),
            *(("create", _key(file)) for file in _created(permissions["create"])),
            *(("update", index, _key(file)) for index, file in _updated(permissions["update"])),
        }
    )


def _readable(permissions):
    for index, file in enumerate(FILES):
        for field in FIELDS:
            if any(one.matches(file) and one.lists(field) for one in permissions):
                yield index, field


def _created(permissions):
    for payload in PAYLOADS if permissions else ():
        for values in _completed(permissions, payload):
            file = dict.fromkeys(FIELDS) | values
            if _allows([one for one in permissions if one.matches(file)], payload):
                yield file


def _updated(permissions):
    for index, old in enumerate(FILES):
        matching = [one for one in permissions if one.matches(old)]
        for payload in PAYLOADS if matching else ():
            if not _allows(matching, payload):
                continue
            for values in _completed(matching, payload):
                file = old | values
                if _allows([one for one in permissions if one.matches(file)], payload):
                    yield index, file


def _completed(permissions, payload) -> Iterator[dict[str, str | None]]:
    """Yield the payload with presets, in every order of the permissions, if it passes all validations."""
    missing = [name for name in FIELDS if name not in payload]
    choices = [{one.presets[name] for one in permissions if name in one.presets} or {UNSET} for name in missing]
    for chosen in product(*choices):
        presets = {name: value for name, value in zip(missing, chosen, strict=True) if value is not UNSET}
        values = payload | presets
        if all(matches(one.validation, values, written=True) for one in permissions):
            yield values


def _allows(permissions, payload):
    return bool(permissions) and all(any(one.lists(field) for one in permissions) for field in payload)


def _key(file):
    return tuple(file[name] for name in FIELDS)


def excess(gained, writer, before, public):
    """Return something that the holder of the policies `gained` can do, although nobody could before; else None.

    Allowed is what the writer could do, what the holder could do before, what everybody can do, and what someone can do
    who holds the policies of several of them: a holder's rights add up, and so do the conditions on them.
    """
    allowed = {writer, before, public, writer | before, writer | before | public}
    for ip in IPS:
        for has_tfa in (False, True):
            permitted = frozenset().union(*(rights(one, ip, has_tfa=has_tfa) for one in allowed))
            if found := rights(gained, ip, has_tfa=has_tfa) - permitted:
                return ip, has_tfa, min(map(str, found))
    return None
