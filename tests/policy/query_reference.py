"""The reference's view of queries: whether a caller may send one, and the order of its rows."""


def is_visible(reference, collection, filter_):
    """Return whether every field that a filter uses is in the caller's schema."""
    for key, value in filter_.items():
        if key in ("_and", "_or"):
            if not all(is_visible(reference, collection, part) for part in value):
                return False
        elif not _is_entry_visible(reference, collection, key, value):
            return False
    return True


def _is_entry_visible(reference, collection, key, value):
    if not reference.allowed(collection, key.removesuffix("_func")):
        return False
    if key.endswith("_func"):
        return True
    inner = value.get("_some", value.get("_none", value))
    is_relation = key == "users" or (
        key == "role" and not all(op.startswith("_") and op not in ("_and", "_or") for op in value)
    )
    if is_relation:
        target, back = ("users", "role") if key == "users" else ("roles", "users")
        if value and not reference.allowed(target, back):
            return False
        if not is_visible(reference, target, inner):
            return False
    return _are_variables_visible(reference, value)


def _are_variables_visible(reference, operators):
    values = [v for value in operators.values() for v in (value if isinstance(value, list) else [value])]
    fields = [v.split(".")[1] for v in values if isinstance(v, str) and v.startswith("$CURRENT_USER.")]
    return reference.user is None or all(reference.allowed("users", field) for field in fields)


def sorts(reference, collection):
    """Return every sort by what the caller may see: fields, functions of them, and a field of a related row."""
    keys = {"users": ["id", "first_name", "title", "year(last_access)", "count(tags)"], "roles": ["id", "name"]}
    visible = [key for key in keys[collection] if reference.allowed(collection, key.split("(")[-1].rstrip(")"))]
    if collection == "users" and reference.allowed("users", "role") and reference.allowed("roles", "name"):
        visible.append("role.name")
    if collection == "roles" and reference.allowed("roles", "users"):
        visible.append("count(users)")
    return [[key] for name in visible for key in (name, f"-{name}")] or [[]]


def ordered(rows, keys, value_of):
    """Return rows sorted by these keys, then by id; nulls come last, or first when descending."""
    rows = sorted(rows, key=lambda row: row["id"])
    for key in reversed(keys):
        name, down = key.removeprefix("-"), key.startswith("-")
        values = {row["id"]: value_of(row, name) for row in rows}
        present = sorted(
            (row for row in rows if values[row["id"]] is not None), key=lambda row: values[row["id"]], reverse=down
        )
        absent = [row for row in rows if values[row["id"]] is None]
        rows = [*absent, *present] if down else [*present, *absent]
    return rows
