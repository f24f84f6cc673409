"""A second implementation of the permission rules, in plain Python over rows in memory.

It shares no code with the policy resolver or the planner; the property tests compare its results with theirs.
"""

import re
from datetime import date
from ipaddress import ip_address, ip_network

LINKS = {
    ("users", "role"): ("roles", "id", "role"),
    ("roles", "parent"): ("roles", "id", "parent"),
    ("users", "boss"): ("users", "id", "boss"),
}
BACK = {
    ("roles", "users"): ("users", "role"),
    ("roles", "children"): ("roles", "parent"),
    ("users", "team"): ("users", "boss"),
}
MASK = "**********"
SEARCHED = {"users": ["first_name", "title", "id", "role", "code", "boss"], "roles": ["name", "id", "parent"]}
DEFAULTED = {"users": ["active", "default"], "roles": ["supervised_user_circle"]}
"""Column defaults in fields that no generated rule lists but that an admin's search includes."""
KEYS = {"id", "role", "parent", "boss"}
NESTED = {"_and", "_or", "_some", "_none"}
CALL = re.compile(r"(\w+)\((\w+)\)")


class Reference:
    """One caller's view of some tables, `{name: [row, …]}`, named without the prefix `directus_`."""

    def __init__(self, tables, user, ip):
        self.tables, self.user = tables, user
        self.roles = list(self._ancestors(user and user["role"]))
        has_no_role = user is None or user["role"] is None
        attached = {
            row["policy"]
            for row in tables["access"]
            if (user and row["user"] == user["id"])
            or row["role"] in self.roles
            or (has_no_role and row["role"] is None and row["user"] is None)
        }
        self.policies = [p for p in tables["policies"] if p["id"] in attached and self._in_force(p, ip)]
        self.admin = any(p["admin_access"] for p in self.policies)

    def _ancestors(self, role, visited=()):
        if role is not None and role not in visited:
            yield role
            parent = next(r["parent"] for r in self.tables["roles"] if r["id"] == role)
            yield from self._ancestors(parent, (*visited, role))

    @staticmethod
    def _in_force(policy, ip):
        ranges = policy["ip_access"]
        return not ranges or any(ip_address(ip) in ip_network(part) for part in ranges.split(","))

    def rules(self, name):
        if self.admin:
            return [("*", {})]
        ids = {p["id"] for p in self.policies}
        permissions = [
            p for p in self.tables["permissions"] if p["policy"] in ids and p["collection"] == f"directus_{name}"
        ]
        return [(p["fields"].split(","), p["permissions"] or {}) for p in permissions]

    def allowed(self, name, field):
        return any(fields == "*" or field in fields for fields, _ in self.rules(name))

    def rows(self, name):
        return [row for row in self.tables[name] if self.may_see(name, row)]

    def may_see(self, name, row, field=None):
        return any(
            self.matches(name, row, rule, real=True)
            for fields, rule in self.rules(name)
            if field is None or fields == "*" or field in fields
        )

    def value(self, name, row, field, *, real=False):
        if call := CALL.fullmatch(field):
            return self.function(name, row, call[2], call[1], real=real)
        if "." in field:
            first, rest = field.split(".")
            target, related = self.related_row(name, row, first, real=real)
            return self.value(target, related, rest, real=real)
        value = None if row is None or not (real or self.may_see(name, row, field)) else row[field]
        return MASK if field == "token" and value is not None and not real else value

    def function(self, name, row, field, function, *, real=False):
        if (name, field) in BACK:
            # The count of a missing row is 0 if every rule lists the field, else null.
            everywhere = row is None and all(fields == "*" or field in fields for fields, _ in self.rules(name))
            visible = real or everywhere or self.may_see(name, row, field)
            return len(self.related_rows(name, row, field, real=real)[1]) if visible else None
        value = self.value(name, row, field, real=real)
        if field == "born" and value is not None:
            value = date.fromisoformat(value)
        return None if value is None else len(value) if function == "count" else getattr(value, function)

    def search_matches(self, name, row, text):
        """Return whether a search matches a row, by its visible texts and keys."""
        text = text.strip()
        if not text:
            return False
        if self.admin and any(text.lower() in word for word in DEFAULTED[name]):
            return True
        fields = [field for field in SEARCHED[name] if self.allowed(name, field) and field in self.tables[name][0]]
        values = [(field, self.value(name, row, field)) for field in fields]
        return any(
            value == text.lower() if field in KEYS else text.lower() in value.lower()
            for field, value in values
            if value is not None
        )

    def related_row(self, name, row, field, *, real=False):
        target, key, column = LINKS[name, field]
        link = self.value(name, row, column, real=real)
        candidates = self.tables[target] if real else self.rows(target)
        return target, next((other for other in candidates if link is not None and other[key] == link), None)

    def related_rows(self, name, row, field, *, real=False):
        target, column = BACK[name, field]
        if row is None or not (real or self.may_see(name, row, field)):
            return target, []
        candidates = self.tables[target] if real else self.rows(target)
        return target, [other for other in candidates if self.value(target, other, column, real=real) == row["id"]]

    def matches(self, name, row, filter_, *, real=False):
        return self._conjunction(name, row, filter_, real) is not False

    def _conjunction(self, name, row, filter_, real):
        """Return whether a row matches a filter; None if there is no operator in it."""
        return all_counted(self._entry(name, row, key, value, real) for key, value in filter_.items())

    def _entry(self, name, row, key, condition, real):
        if key == "_and":
            return all_counted(self._conjunction(name, row, part, real) for part in condition)
        if key == "_or":
            return self._alternatives(name, row, condition, real)
        if key.endswith("_func"):
            base = key.removesuffix("_func")
            return all_counted(
                OPERATORS[op](self.function(name, row, base, function, real=real), operand)
                for function, operators in condition.items()
                for op, operand in operators.items()
            )
        if (name, key) in BACK:
            return self._quantified(name, row, key, condition, real)
        if (name, key) in LINKS and not all(op in OPERATORS for op in condition):
            target, related = self.related_row(name, row, key, real=real)
            return self._conjunction(target, related, condition, real)
        value = self.value(name, row, key, real=real)
        return all_counted(OPERATORS[op](value, self._operand(operand, real)) for op, operand in condition.items())

    def _alternatives(self, name, row, parts, real):
        """Return whether a row matches one of the parts. In a rule, a part without an operator never adds rows."""
        if {} in parts and not real:
            return None
        parts = [part for part in parts if not real or compares(part)] or parts
        results = [self._conjunction(name, row, part, real) for part in parts]
        return any(results) if {*results} - {None} else None

    def _quantified(self, name, row, key, condition, real):
        target, others = self.related_rows(name, row, key, real=real)
        visible = row is not None and (real or self.may_see(name, row, key))
        if "_some" in condition:
            return any(self.matches(target, other, condition["_some"], real=real) for other in others)
        if "_none" in condition:
            return visible and not any(self.matches(target, other, condition["_none"], real=real) for other in others)
        results = [self._conjunction(target, other, condition, real) for other in others or [None]]
        return None if None in results else visible and any(results)

    def _operand(self, operand, real):
        if isinstance(operand, list):
            resolved = [self._operand(item, real) for item in operand]
            return [v for item in resolved for v in (item if isinstance(item, list) else [item])]
        if operand == "$CURRENT_ROLES":
            return self.roles or [NO_VALUE]
        if isinstance(operand, str) and operand.startswith("$"):
            me = self.user if real or (self.user and self.may_see("users", self.user)) else None
            field = {"$CURRENT_USER": "id", "$CURRENT_ROLE": "role"}.get(operand) or operand.split(".")[1]
            if operand in ("$CURRENT_USER", "$CURRENT_ROLE"):
                return (self.user or {}).get(field, NO_VALUE) or NO_VALUE
            value = self.value("users", me, field, real=real)
            return NO_VALUE if value is None else value
        return operand


def compares(condition):
    """Return whether a filter contains an operator with a value."""
    if isinstance(condition, list):
        return any(map(compares, condition))
    return any(
        compares(value) if not key.startswith("_") or key in NESTED else True for key, value in condition.items()
    )


def all_counted(results):
    """Return whether all results but the None of parts without any operator are true; None if there are no others."""
    counted = [result for result in results if result is not None]
    return all(counted) if counted else None


NO_VALUE = object()


def _not_null(compare):
    return lambda value, operand: value is not None and operand is not NO_VALUE and compare(value, operand)


_equal = _not_null(lambda value, operand: value == operand)
_not_in = _not_null(lambda value, operand: not {value, None, NO_VALUE} & {*operand})
_unequal = _not_null(lambda value, operand: value != operand)
OPERATORS = {
    "_eq": lambda value, operand: value is None if operand is None else _equal(value, operand),
    "_neq": lambda value, operand: value is not None if operand is None else _unequal(value, operand),
    "_in": _not_null(lambda value, operand: value in operand),
    "_nin": lambda value, operand: not operand or _not_in(value, operand),
    "_gt": _not_null(lambda value, operand: value > operand),
    "_contains": _not_null(lambda value, operand: operand in value),
    "_istarts_with": _not_null(lambda value, operand: value.lower().startswith(operand.lower())),
    "_null": lambda value, operand: (value is None) is (operand is not False),
    "_empty": lambda value, operand: (value in (None, "")) is (operand is not False),
}
