"""Whether a question may be asked at all, and in which order its answer stands, by the reference."""

from typing import Any


def admits(reference, collection, filter_):
    """Whether everything a filter touches is in the caller's schema."""
    for key, asked in filter_.items():
        if key in ("_and", "_or"):
            if not all(admits(reference, collection, part) for part in asked):
                return False
        elif not _admits_entry(reference, collection, key, asked):
            return False
    return True


def _admits_entry(reference, collection, key, asked):
    if not reference.allowed(collection, key.removesuffix("_func")):
        return False
    if key.endswith("_func"):
        return True
    inner = asked.get("_some", asked.get("_none", asked))
    through = key == "users" or (
        key == "role" and not all(op.startswith("_") and op not in ("_and", "_or") for op in asked)
    )
    if through:
        there, back = ("users", "role") if key == "users" else ("roles", "users")
        if asked and not reference.allowed(there, back):
            return False
        if not admits(reference, there, inner):
            return False
    return _variables_known(reference, asked)


def _variables_known(reference, asked):
    values = [v for value in asked.values() for v in (value if isinstance(value, list) else [value])]
    fields = [v.split(".")[1] for v in values if isinstance(v, str) and v.startswith("$CURRENT_USER.")]
    return reference.user is None or all(reference.allowed("users", field) for field in fields)


def sorts(reference, collection):
    """Every way to sort by what the caller may see: fields, functions of them, and a field behind a relation."""
    keys = {"users": ["id", "first_name", "title", "year(last_access)", "count(tags)"], "roles": ["id", "name"]}
    shown = [key for key in keys[collection] if reference.allowed(collection, key.split("(")[-1].rstrip(")"))]
    if collection == "users" and reference.allowed("users", "role") and reference.allowed("roles", "name"):
        shown.append("role.name")
    if collection == "roles" and reference.allowed("roles", "users"):
        shown.append("count(users)")
    return [[key] for name in shown for key in (name, f"-{name}")] or [[]]


def ordered(rows, keys, value_of):
    """Rows by these sort keys, then by their own id; nulls last, and first when descending."""
    rows = sorted(rows, key=lambda row: row["id"])
    for key in reversed(keys):
        name, down = key.removeprefix("-"), key.startswith("-")
        values = {row["id"]: value_of(row, name) for row in rows}
        present = sorted(
            (row for row in rows if values[row["id"]] is not None), key=lambda row: values[row["id"]], reverse=down
        )
        if down:
            # A stable order among equals, also when reversed.
            present = _stable(present, values)
        absent = [row for row in rows if values[row["id"]] is None]
        rows = [*absent, *present] if down else [*present, *absent]
    return rows


def _stable(rows, values):
    groups: dict[Any, list[Any]] = {}
    for row in rows:
        groups.setdefault(values[row["id"]], []).append(row)
    return [row for same in groups.values() for row in sorted(same, key=lambda row: row["id"])]
