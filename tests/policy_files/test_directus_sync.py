"""A dump that directus-sync 3.4.1 made of a Rollcall server is applied to another one."""

import re
from pathlib import Path

import pytest

from app.policy_files.located import DocumentError
from app.policy_files.sources import load

CHANGES = [
    '~ role "Administrator"',
    '+ role "Support"',
    '+ role "Lead"',
    '+ policy "Administrator"',
    '+ policy "$t:public_label"',
    '~ policy "Office"',
    '+ policy "Active users"',
    '+ permission of policy "$t:public_label" to read directus_roles',
    '+ permission of policy "Office" to create directus_users',
    '- permission of policy "Office" to read directus_users',
    '+ permission of policy "Active users" to read directus_users',
    '+ permission of policy "Active users" to update directus_users',
    '+ policy "Administrator" of role "Administrator"',
    '- policy "Administrators" of role "Administrator"',
    '+ policy "Active users" of role "Support"',
    '+ policy "$t:public_label" of the public',
    "Applied: 12 created, 2 updated, 2 deleted.",
]
DUMP = Path(__file__).parent / "directus_sync"


async def test_a_dump_is_applied_once_and_its_administrator_is_the_one_that_exists(policies):
    first, again = await policies("apply", DUMP), await policies("apply", DUMP / "collections")

    assert [line for line in first.out.splitlines() if not line.startswith(" ")] == CHANGES
    assert again.out == "No changes: the database has these roles and policies already.\n"


async def test_an_attachment_that_may_be_to_a_user_is_left_out_with_a_warning(policies):
    result = await policies("plan", DUMP)

    assert 'the policy "Office" is attached to a user or to the public' in result.err


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("permissions", "9df8af59-a793-48f5-a0d8-ca5e8c953c6d", "gone", "there is no policy 'gone' in policies.json."),
        ("policies", "e9366c03-becc-48e3-b623-ceb70217009d", "gone", "there is no role 'gone' in roles.json."),
        ("roles", '"parent": "e9366c03-becc-48e3-b623-ceb70217009d"', '"parent": "gone"', "there is no role 'gone'"),
        ("roles", "0d2a66ba-00f2-42f7-b38d-c84d33719805", "_sync_default_admin_role", "occurs twice."),
        ("roles", '"name": "Lead",', "", "an item needs 'name'."),
        ("permissions", '"action": "read"', '"action": "reed"', "there is no action 'reed'."),
    ],
)
def test_a_damaged_dump_is_refused_with_its_place(tmp_path, name, old, new, message):
    for file in (DUMP / "collections").iterdir():
        content = file.read_text()
        assert file.stem != name or old in content
        (tmp_path / file.name).write_text(content.replace(old, new) if file.stem == name else content)
    with pytest.raises(DocumentError, match=re.escape(message)) as error:
        load(tmp_path)

    assert str(error.value).startswith(f"{tmp_path / name}.json, line ")
