"""A database with custom fields: the columns, as Directus creates them, and the rows that describe them."""

import orjson

COLUMNS = {
    # name: PostgreSQL's type, SQLite's type, special
    "phone": ("varchar(32)", "varchar(32)", None),
    "badge_number": ("integer", "integer", None),
    "points": ("bigint", "bigint", None),
    "rating": ("real", "float", None),
    "salary": ("numeric(12,2)", "decimal(12,2)", None),
    "remote": ("boolean NOT NULL DEFAULT false", "boolean NOT NULL DEFAULT 0", "cast-boolean"),
    "skills": ("json", "json", "cast-json"),
    "labels": ("text", "text", "cast-csv"),
    "external_ref": ("uuid", "char(36)", "uuid"),
    "birthday": ("date", "date", None),
    "shift_start": ("time", "time", None),
    "hired_at": ("timestamp", "datetime", None),
    "checked_at": ("timestamp with time zone", "timestamp", None),
    "pin": ("varchar(255)", "varchar(255)", "hash,conceal"),
    "secret_note": ("varchar(255)", "varchar(255)", "conceal"),
    "made_on": ("timestamp with time zone", "timestamp", "date-created"),
    "changed_on": ("timestamp with time zone", "timestamp", "date-updated"),
    "made_by": ("uuid", "char(36)", "user-created"),
    "changed_by": ("uuid", "char(36)", "user-updated"),
    "manager": (
        "uuid REFERENCES directus_users ON DELETE SET NULL",
        "char(36) REFERENCES directus_users ON DELETE SET NULL",
        "m2o",
    ),
    "badge_photo": (
        "uuid REFERENCES directus_files ON DELETE SET NULL",
        "char(36) REFERENCES directus_files ON DELETE SET NULL",
        "file",
    ),
    "level": ("integer DEFAULT 3", "integer DEFAULT 3", None),
}
VALIDATIONS = {"level": {"level": {"_gte": 1}}, "pin": {"pin": {"_regex": "^[0-9]{4}$"}}}
NOTES = {"phone": "With the country code"}
UNDESCRIBED = ("undescribed", "varchar(20)")
"""A column without a row in `directus_fields`, which is not served."""
UNKNOWN = ("fingerprint", {"postgresql": "bytea", "sqlite": "blob"})
"""A column whose type has no kind."""


def statements(dialect):
    """Yield the statements that add the custom fields."""
    for name, (postgresql, sqlite, _) in COLUMNS.items():
        yield f"ALTER TABLE directus_users ADD COLUMN {name} {postgresql if dialect == 'postgresql' else sqlite}"
    yield f"ALTER TABLE directus_users ADD COLUMN {UNDESCRIBED[0]} {UNDESCRIBED[1]}"
    yield f"ALTER TABLE directus_users ADD COLUMN {UNKNOWN[0]} {UNKNOWN[1][dialect]}"
    described = [(name, special) for name, (_, _, special) in COLUMNS.items()]
    for name, special in (*described, ("reports", "o2m"), (UNKNOWN[0], None)):
        yield describe(name, special)
    yield relate("manager", "directus_users", "reports")
    yield relate("badge_photo", "directus_files", None)


def describe(name, special=None, collection="directus_users"):
    validation = VALIDATIONS.get(name)
    values = (collection, name, special, NOTES.get(name), validation and orjson.dumps(validation).decode())
    return f"INSERT INTO directus_fields (collection, field, special, note, validation) VALUES ({_literals(values)})"


def relate(field, target, alias, collection="directus_users"):
    values = (collection, field, target, alias)
    names = "many_collection, many_field, one_collection, one_field"
    return f"INSERT INTO directus_relations ({names}) VALUES ({_literals(values)})"


def _literals(values):
    return ", ".join("NULL" if value is None else f"'{value}'" for value in values)
