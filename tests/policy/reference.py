"""What a caller may be told, said a second time in plain Python over rows in memory.

It shares no code with the policy resolver or the planner: the property test asks both and compares.
"""

import re
from ipaddress import ip_address, ip_network

LINKS = {("users", "role"): ("roles", "id", "role"), ("roles", "parent"): ("roles", "id", "parent")}
BACK = {("roles", "users"): ("users", "role"), ("roles", "children"): ("roles", "parent")}
MASK = "**********"
SEARCHED = {"users": ["first_name", "title", "id", "role"], "roles": ["name", "id", "parent"]}
UNSAID = {"users": ["active", "default"], "roles": ["supervised_user_circle"]}
"""What the tables say by themselves in fields that no rule of such a world names, but every admin may search."""
KEYS = {"id", "role", "parent"}
CALL = re.compile(r"(\w+)\((\w+)\)")


class Reference:
    """One caller's view of a handful of tables: `{name: [row, …]}` without the prefix of their names."""

    def __init__(self, tables, user, ip):
        self.tables, self.user = tables, user
        self.roles = list(self._ancestors(user and user["role"]))
        nobody = user is None or user["role"] is None
        held = {
            row["policy"]
            for row in tables["access"]
            if (user and row["user"] == user["id"])
            or row["role"] in self.roles
            or (nobody and row["role"] is None and row["user"] is None)
        }
        self.policies = [p for p in tables["policies"] if p["id"] in held and self._in_force(p, ip)]
        self.admin = any(p["admin_access"] for p in self.policies)

    def _ancestors(self, role, seen=()):
        if role is not None and role not in seen:
            yield role
            parent = next(r["parent"] for r in self.tables["roles"] if r["id"] == role)
            yield from self._ancestors(parent, (*seen, role))

    @staticmethod
    def _in_force(policy, ip):
        ranges = policy["ip_access"]
        return not ranges or any(ip_address(ip) in ip_network(part) for part in ranges.split(","))

    def rules(self, name):
        if self.admin:
            return [("*", {})]
        ids = {p["id"] for p in self.policies}
        granted = [
            p for p in self.tables["permissions"] if p["policy"] in ids and p["collection"] == f"directus_{name}"
        ]
        return [(p["fields"].split(","), p["permissions"] or {}) for p in granted]

    def allowed(self, name, field):
        return any(fields == "*" or field in fields for fields, _ in self.rules(name))

    def rows(self, name):
        return [row for row in self.tables[name] if self.may(name, row)]

    def may(self, name, row, field=None):
        return any(
            self.holds(name, row, rule, real=True)
            for fields, rule in self.rules(name)
            if field is None or fields == "*" or field in fields
        )

    def seen(self, name, row, field, *, real=False):
        if call := CALL.fullmatch(field):
            return self.function(name, row, call[2], call[1], real=real)
        if "." in field:
            first, rest = field.split(".")
            there, other = self.one(name, row, first, real=real)
            return self.seen(there, other, rest, real=real)
        value = None if row is None or not (real or self.may(name, row, field)) else row[field]
        return MASK if field == "token" and value is not None and not real else value

    def function(self, name, row, field, function, *, real=False):
        if (name, field) in BACK:
            # Behind a row that isn't there are no rows: none is a number, where the field would be shown at all.
            everywhere = row is None and all(fields == "*" or field in fields for fields, _ in self.rules(name))
            shown = real or everywhere or self.may(name, row, field)
            return len(self.many(name, row, field, real=real)[1]) if shown else None
        value = self.seen(name, row, field, real=real)
        return None if value is None else len(value) if function == "count" else getattr(value, function)

    def finds(self, name, row, text):
        """Whether a search finds a row: in the texts and keys of it that are shown there."""
        if self.admin and any(text.lower() in word for word in UNSAID[name]):
            return True
        shown = [field for field in SEARCHED[name] if self.allowed(name, field)]
        values = [(field, self.seen(name, row, field)) for field in shown]
        return any(
            value == text.lower() if field in KEYS else text.lower() in value.lower()
            for field, value in values
            if value is not None
        )

    def one(self, name, row, field, *, real=False):
        there, key, column = LINKS[name, field]
        wanted = self.seen(name, row, column, real=real)
        pool = self.tables[there] if real else self.rows(there)
        return there, next((other for other in pool if wanted is not None and other[key] == wanted), None)

    def many(self, name, row, field, *, real=False):
        there, column = BACK[name, field]
        if row is None or not (real or self.may(name, row, field)):
            return there, []
        pool = self.tables[there] if real else self.rows(there)
        return there, [other for other in pool if self.seen(there, other, column, real=real) == row["id"]]

    def holds(self, name, row, filter_, *, real=False):
        return all(self._entry(name, row, key, asked, real) for key, asked in filter_.items())

    def _entry(self, name, row, key, asked, real):
        if key in ("_and", "_or"):
            found = [self.holds(name, row, part, real=real) for part in asked]
            return all(found) if key == "_and" or not found else any(found)
        if key.endswith("_func"):
            base = key.removesuffix("_func")
            return all(
                OPERATORS[op](self.function(name, row, base, function, real=real), wanted)
                for function, operators in asked.items()
                for op, wanted in operators.items()
            )
        if (name, key) in BACK and not asked:
            return True  # nothing is asked of the rows behind, so nothing is said of whether they are to be seen
        if (name, key) in BACK:
            return self._quantified(name, row, key, asked, real)
        if (name, key) in LINKS and not all(op in OPERATORS for op in asked):
            there, other = self.one(name, row, key, real=real)
            return self.holds(there, other, asked, real=real)
        value = self.seen(name, row, key, real=real)
        return all(OPERATORS[op](value, self._value(wanted, real)) for op, wanted in asked.items())

    def _quantified(self, name, row, key, asked, real):
        there, others = self.many(name, row, key, real=real)
        visible = row is not None and (real or self.may(name, row, key))
        if "_some" in asked:
            return any(self.holds(there, other, asked["_some"], real=real) for other in others)
        if "_none" in asked:
            return visible and not any(self.holds(there, other, asked["_none"], real=real) for other in others)
        return visible and any(self.holds(there, other, asked, real=real) for other in others or [None])

    def _value(self, wanted, real):
        if isinstance(wanted, list):
            found = [self._value(item, real) for item in wanted]
            return [v for item in found for v in (item if isinstance(item, list) else [item])]
        if wanted == "$CURRENT_ROLES":
            return self.roles or [NOTHING]
        if isinstance(wanted, str) and wanted.startswith("$"):
            me = self.user if real or (self.user and self.may("users", self.user)) else None
            field = {"$CURRENT_USER": "id", "$CURRENT_ROLE": "role"}.get(wanted) or wanted.split(".")[1]
            if wanted in ("$CURRENT_USER", "$CURRENT_ROLE"):
                return (self.user or {}).get(field, NOTHING) or NOTHING
            value = self.seen("users", me, field, real=real)
            return NOTHING if value is None else value
        return wanted


NOTHING = object()


def _known(compare):
    return lambda value, wanted: value is not None and wanted is not NOTHING and compare(value, wanted)


OPERATORS = {
    "_eq": _known(lambda value, wanted: value == wanted),
    "_neq": _known(lambda value, wanted: value != wanted),
    "_in": _known(lambda value, wanted: value in wanted),
    "_nin": _known(lambda value, wanted: value not in wanted and NOTHING not in wanted),
    "_gt": _known(lambda value, wanted: value > wanted),
    "_contains": _known(lambda value, wanted: wanted in value),
    "_istarts_with": _known(lambda value, wanted: value.lower().startswith(wanted.lower())),
    "_null": lambda value, wanted: (value is None) is wanted,
    "_empty": lambda value, wanted: (value in (None, "")) is wanted,
}
