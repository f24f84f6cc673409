"""What is exported and applied to an empty directory is exported again byte by byte."""

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, update

from app.core.caller import SYSTEM
from app.core.json_values import normalized_json
from app.core.timestamps import parse_date
from app.db.models import ACCESS_EXPIRY, Access, Permission, Policy, Role, User
from app.flows.import_export import import_rows
from app.policy_files.applying import DocumentWriter, Options
from app.policy_files.document_export import export_rights
from app.policy_files.document_reader import read_document
from app.policy_files.yaml_reader import read_yaml
from tests.base_data import uid

TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12
) | st.sampled_from(
    ["no", "null", "~", "1e3", "012", "2024-01-01", "a: b", "- x", "{{x}}", "'", "<<", "#", " ", "\n", "\u2028x", "😀"]
)
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=5,
)
RULES = st.none() | st.dictionaries(TEXTS, VALUES, max_size=2)
ROLES, POLICIES = ([uid(f"{kind} {n}") for n in range(3)] for kind in ("exported role", "exported policy"))
NAMES = TEXTS | st.just("Twin")
DESCRIPTIONS = st.none() | TEXTS | st.just("")
SORTS = st.none() | st.integers(0, 3)
ENDS = ("2024-01-15T10:30:45.123456Z", "2999-12-31T00:00:00Z")
FIELDS = st.none() | st.lists(st.sampled_from(["*", "id", "email", "elsewhere"]), unique=True, min_size=1)


@st.composite
def rights(draw):
    """Rows of roles, policies, permissions and attachments."""
    roles = [
        {
            "id": key,
            "name": draw(NAMES),
            "description": draw(DESCRIPTIONS),
            "parent": draw(st.sampled_from([None, *ROLES[:n]])),
        }
        for n, key in enumerate(ROLES)
    ]
    policies = [
        {
            "id": key,
            "name": draw(NAMES),
            "icon": draw(st.sampled_from(["badge", "star"])),
            "description": draw(DESCRIPTIONS),
            "ip_access": draw(st.sampled_from([None, "10.0.0.0/8,192.0.2.1"])),
            "admin_access": draw(st.booleans()),
            "app_access": draw(st.booleans()),
            "enforce_tfa": draw(st.booleans()),
        }
        for key in POLICIES
    ]
    permissions = [
        {
            "id": number,
            "policy": draw(st.sampled_from(POLICIES)),
            "collection": draw(st.sampled_from(["directus_users", "articles"])),
            "action": draw(st.sampled_from(["read", "update", "share"])),
            "fields": draw(FIELDS),
            **{name: normalized_json(draw(RULES)) for name in ("permissions", "presets")},
        }
        for number in range(9_001, 9_001 + draw(st.integers(0, 4)))
    ]
    access = [
        {
            "id": uid(f"exported access {n}"),
            "policy": draw(st.sampled_from(POLICIES)),
            "role": draw(st.sampled_from([None, *ROLES])),
            "sort": draw(SORTS),
        }
        for n in range(draw(st.integers(0, 4)))
    ]
    return {
        "directus_roles": roles,
        "directus_policies": policies,
        "directus_permissions": permissions,
        "directus_access": access,
    }


async def clear(database):
    async with database.transaction() as connection:
        await connection.execute(update(User).values(role_id=None))
        for model in (Access, Permission, Policy):
            await connection.execute(delete(model))
        await connection.execute(update(Role).values(parent_id=None))
        await connection.execute(delete(Role))


@settings(max_examples=settings().max_examples // 4)  # each example replaces all rows twice
@given(rows=rights(), expires=st.sampled_from([None, *ENDS]))
async def test_an_export_applied_to_an_empty_directory_is_exported_again(scratch_db, rows, expires):
    database, registry = scratch_db.database, scratch_db.services.registry
    await clear(database)
    await import_rows(database, rows, replace=False)
    if expires is not None and rows["directus_access"]:
        values = {"access": rows["directus_access"][0]["id"], "expires": parse_date(expires)}
        async with database.transaction() as connection:
            await connection.execute(insert(ACCESS_EXPIRY).values(values))
    exported = await export_rights(database, registry)
    await clear(database)
    document = read_document(read_yaml(exported.encode(), "policies.yaml"))
    writer = DocumentWriter(scratch_db.directory(SYSTEM), Options(allow_unknown=True))

    first, again = await writer.apply(document), await writer.apply(document)

    assert await export_rights(database, registry) == exported
    assert first.changes
    assert again.changes == []
