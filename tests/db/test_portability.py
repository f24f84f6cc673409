"""What one database accepts from clients can be exported, imported into the other, and back, without loss."""

from contextlib import AsyncExitStack, suppress
from typing import Any
from uuid import uuid4

import pytest

from app.core.caller import SYSTEM
from app.core.errors import RollcallError
from app.flows.bootstrap import bootstrap
from app.flows.import_export import import_file
from app.query.collection import (
    FILES,
    FOLDERS,
    PERMISSIONS,
    POLICIES,
    ROLES,
    SETTINGS,
    USERS,
    Collection,
    Field,
    FieldKind,
)
from app.query.payload import to_column_value
from app.testing import TestSystem, open_system
from tests.base_data import uid
from tests.conftest import BACKENDS, admin_url, create_database, make_settings, open_copy, run_on_server
from tests.db.test_bootstrap_and_import import exported

TEXTS = [
    "",
    " ",
    "\t\n",
    "é" * 5,
    "😀\u200d🚀",
    "\u2028\ufeff\uffff",
    "'; --",
    "\\u0000",
    "NULL",
    "a\0b",
    "\ud800",
    5,
    1.5,
    True,
]
INTEGERS: list[Any] = [0, -1, 2**31 - 1, -(2**31) + 1, 2**31, -(2**31), 2**63 - 1, 2**63, -(2**63), 10**30]
INTEGERS += ["7", "\uff17", " 7 ", "1e3", "0x1", 1.5, 1e300, float("nan"), float("inf"), True, None, ""]
DATES = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2024-02-29", "0000-01-01", "infinity", "10000-01-01"]
NESTED_100, NESTED_101 = ("[" * levels + "]" * levels for levels in (100, 101))
JSONS: list[Any] = [
    {},
    [],
    "[]",
    "null",
    0,
    "0",
    1e308,
    2**53 + 1,
    2**63,
    10**30,
    "x",
    '"x"',
    '{"a": 1e400}',
    {"": {"é": ["😀"]}},
]
JSONS += [["a\0"], '["\\u0000"]', ["\\u0000"], '["\\ud800"]', [float("nan")], NESTED_100, NESTED_101, False]
VALUES: dict[FieldKind, list[Any]] = {
    "string": TEXTS,
    "hash": TEXTS,
    "integer": INTEGERS,
    "bigInteger": INTEGERS,
    "boolean": [True, False, "true", "0", 1, 2, "yes", None],
    "timestamp": DATES,
    "json": JSONS,
    "csv": [[], [""], ["a", ""], "a,b", "", ["a,b"], ["é😀"], ["a\0"], [1], None],
}
FIELDS_WITH_RULES = {"email", "filename_disk", "tfa_secret", "ip_access", "auth_password_policy"}
FIELDS_WITH_RULES |= {"public_registration_email_filter", "permissions", "validation"}
REQUIRED: dict[str, dict[str, Any]] = {
    "directus_users": {},
    "directus_roles": {"name": "x"},
    "directus_policies": {"name": "x"},
    "directus_folders": {"name": "x"},
    "directus_files": {"storage": "local", "filename_download": "x"},
    "directus_permissions": {"policy": uid("policy-Staff"), "collection": "x", "action": "read"},
}


def candidates(field: Field) -> list[Any]:
    """Values that may or may not fit a field, the lengths around its maximum included."""
    length = getattr(field.stored.type, "length", None)
    texts = ["é" * length, "😀" * length, "x" * (length + 1)] if length and field.kind == "string" else []
    return VALUES.get(field.kind, []) + texts


def accepted(collection: Collection, field: Field) -> list[Any]:
    """The candidates that a field accepts from clients."""
    values = []
    for value in candidates(field):
        try:
            to_column_value(collection, field, value)
        except RollcallError:
            continue
        values.append(value)
    return values


def fields_of_every_type(collection: Collection) -> list[Field]:
    """One field of each column type that a collection has; without those that have rules of their own."""
    fields = [
        field
        for field in collection.fields.values()
        if field.column is not None and not field.relation and field.name not in FIELDS_WITH_RULES
    ]
    return list({(field.kind, getattr(field.stored.type, "length", None)): field for field in fields}.values())


async def write_every_accepted_value(system: TestSystem) -> int:
    """Write a row for each value that a client may write to a field of each type; return how many rows there are."""
    directory, written = system.directory(SYSTEM), 0
    for collection in (USERS, ROLES, POLICIES, FOLDERS, FILES, PERMISSIONS):
        for field in fields_of_every_type(collection):
            for value in accepted(collection, field):
                with suppress(RollcallError):  # not unique, such as a token that is the number 5 and the text
                    await directory[collection.name].create_one({**REQUIRED[collection.name], field.name: value})
                    written += 1
    fields = {field.name: accepted(SETTINGS, field) for field in fields_of_every_type(SETTINGS)}
    for number in range(max(map(len, fields.values()))):
        row = {name: values[number] for name, values in fields.items() if number < len(values)}
        await directory[SETTINGS.name].upsert_singleton(row)
    return written


async def open_empty(stack: AsyncExitStack, backend: str, folder) -> TestSystem:
    if backend == "sqlite":
        url = f"sqlite+aiosqlite:///{folder / uuid4().hex}.db"
    else:
        name = f"rollcall_test_{uuid4().hex[:12]}"
        await create_database(name)
        stack.push_async_callback(run_on_server, f"DROP DATABASE {name} WITH (FORCE)")
        url = admin_url(name)
    system = await stack.enter_async_context(open_system(make_settings(url)))
    await bootstrap(system.database, system.settings)
    return system


@pytest.mark.skipif(len(BACKENDS) < 2, reason="needs both databases")
@pytest.mark.parametrize(("source", "target"), [BACKENDS, BACKENDS[::-1]])
async def test_every_accepted_value_moves_to_the_other_database_and_back(source, target, templates, tmp_path):
    async with AsyncExitStack() as stack:
        first = await open_copy(stack, source, templates, tmp_path)
        written = await write_every_accepted_value(first)
        second, third = [await open_empty(stack, backend, tmp_path) for backend in (target, source)]
        original = await exported(first, tmp_path / "first.json")
        await import_file(second.database, tmp_path / "first.json")
        moved = await exported(second, tmp_path / "second.json")
        await import_file(third.database, tmp_path / "second.json")
        returned = await exported(third, tmp_path / "third.json")

    assert written > 250
    assert moved == original
    assert returned == original
