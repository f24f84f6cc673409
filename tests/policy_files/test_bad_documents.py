"""A bad document is refused with one line that names the file and the line."""

import pytest

from app.policy_files.expectation_reader import read_tests
from app.policy_files.located import DocumentError
from app.policy_files.sources import load
from app.query.collection import BUILT_IN
from tests.cli.commands import run_command

POLICY = "policies:\n  - name: P\n    permissions:\n      - "
READ = f"{POLICY}{{collection: directus_users, action: read"
ID = "10000000-0000-4000-8000-000000000001"
LAUGHS = "a: &a [x, x]\nb: &b [*a, *a]\n"
DOCUMENTS = {
    "an anchor": (LAUGHS, 1, "anchors and aliases are not allowed. Repeat the value."),
    "an alias": ("roles: *a\n", 1, "anchors and aliases are not allowed. Repeat the value."),
    "a merge key": ("roles:\n  - <<: {name: A}\n", 2, "merge keys are not allowed. Repeat the values."),
    "a tag": ("roles: !!python/object:os.system []\n", 1, "tags such as tag:yaml.org,2002:python/object:os.system"),
    "an empty file": ("", 1, "the file is empty."),
    "only a comment": ("# nothing\n", 1, "the file is empty."),
    "not UTF-8": (b"roles:\n  - name: \xff\n", 2, "the file is not UTF-8."),
    "broken syntax": ("roles:\n  - {name: A\npolicies: []\n", 3, "this is not YAML: "),
    "a control character": ("roles:\n  - name: \a\n", 2, "this is not YAML: "),
    "two documents": ("roles: []\n---\nroles: []\n", 2, "a file has one document only."),
    "deep nesting": ("[" * 5_000, 1, "values can be nested at most 100 levels deep."),
    "a list": ("- a\n", 1, "the file must be a mapping, not a list."),
    "an unknown section": ("roles: []\npolicys: []\n", 2, "the file has no key 'policys'. Did you mean 'policies'?"),
    "an unknown key": ("roles:\n  - name: A\n    parnet: B\n", 3, "a role has no key 'parnet'. Did you mean 'parent'?"),
    "a key twice": ("roles:\n  - name: A\n    name: B\n", 3, "the key 'name' occurs twice, first in line 2."),
    "a key that is no text": ("roles:\n  - name: A\n    1: B\n", 3, "a key must be a text. Put it in quotes."),
    "a missing name": ("roles:\n  - icon: x\n", 2, "a role needs 'name'."),
    "a wrong type": (
        "policies:\n  - name: P\n    app_access: yes\n",
        3,
        "'app_access' must be true or false, not a text.",
    ),
    "a name that is a number": ("roles:\n  - name: 5\n", 2, "'name' must be a text, not a number."),
    "an id twice": (
        f"roles:\n  - {{id: {ID}, name: A}}\n  - {{id: {ID}, name: B}}\n",
        3,
        f"the role {ID} occurs twice, first in ",
    ),
    "a name twice": ("roles:\n  - name: A\n  - name: A\n", 3, 'the role "A" occurs twice, first in '),
    "an invalid id": ("roles:\n  - {id: 5, name: A}\n", 2, "'id' must be a text, not a number."),
    "an id that is no UUID": ("roles:\n  - {id: five, name: A}\n", 2, "'five' is no id. It must be a UUID."),
    "an invalid address": (
        "policies:\n  - {name: P, ip_access: [here]}\n",
        2,
        "'here' is no IP address, network or range.",
    ),
    "an end that is no time": (
        "roles:\n  - name: A\n    policies: [{name: Staff, expires: soon}]\n",
        3,
        "'expires': \"soon\" is not a date such as",
    ),
    "a test without a subject": ("tests:\n  - may: [read users]\n", 2, "a test needs 'as'."),
    "a test of nothing": ("tests:\n  - as: public\n", 2, "a test needs 'may', 'may not' or 'sees'."),
    "a test of no action": ("tests:\n  - {as: public, may: [see users]}\n", 2, "there is no action 'see'."),
    "a test of no collection": (
        "tests:\n  - {as: public, may: [read user]}\n",
        2,
        "there is no collection 'user'. Did you",
    ),
    "a test of no field": (
        "tests:\n  - {as: public, may: [read users.nam]}\n",
        2,
        "directus_users has no field 'nam'.",
    ),
    "a test in other words": (
        "tests:\n  - {as: public, may: [users]}\n",
        2,
        "'users' is no expectation such as 'read users'",
    ),
    "a test at no address": ("tests:\n  - {as: public, ip: here, may: [read users]}\n", 2, "'here' is no IP address."),
    "a text that no database stores": (
        'tests:\n  - {as: "ada\\0@example.com", may: [read users]}\n',
        2,
        "a text cannot contain the character U+0000",
    ),
    "two results": (
        "tests:\n  - {as: public, sees: [{collection: users, rows: 1, ids: []}]}\n",
        2,
        "an item of 'sees' needs one of 'rows', 'ids' and 'emails'.",
    ),
}


STORED = {
    "an unknown policy": ("roles:\n  - name: A\n    policies: [Nothing]\n", 3, 'there is no policy "Nothing".'),
    "an unknown parent": ("roles:\n  - name: A\n    parent: Nothing\n", 3, 'there is no role "Nothing".'),
    "a role above itself": (
        "roles:\n  - {name: A, parent: B}\n  - {name: B, parent: A}\n",
        2,
        'the role "A" is an ancestor of itself.',
    ),
    "a policy attached twice": (
        "roles:\n  - name: A\n    policies: [Staff, Staff]\n",
        3,
        'the policy "Staff" is attached twice.',
    ),
    "an unknown collection": (
        f"{POLICY}{{collection: users, action: read}}\n",
        4,
        "there is no collection 'users'. Did you mean 'directus_users'? Add --allow-unknown",
    ),
    "an unknown action": (f"{POLICY}{{collection: x, action: reed}}\n", 4, "there is no action 'reed'. Did you mean"),
    "an unknown field": (
        f"{READ}, fields: [id, emial]}}\n",
        4,
        "directus_users has no field 'emial'. Did you mean 'email'?",
    ),
    "an unknown field of a rule": (
        f"{READ}, permissions: {{_and: [{{role: {{nam: {{_eq: x}}}}}}]}}}}\n",
        4,
        "directus_roles has no field 'nam'. Did you mean 'name'?",
    ),
    "an unknown operator": (f"{READ}, permissions: {{email: {{_is: x}}}}}}\n", 4, "'permissions' cannot be read: "),
    "a preset of no field": (
        f"{READ}, presets: {{titel: x}}}}\n",
        4,
        "directus_users has no field 'titel'. Did you mean",
    ),
    "a secret": (f"{READ}, presets: {{password: x}}}}\n", 4, "the preset of 'password' would be a secret"),
    "a text that is too long": (f"roles:\n  - name: {'x' * 200}\n", 2, "cannot be written: "),
}
"""What only a comparison with the database finds."""


@pytest.mark.parametrize(("content", "line", "message"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_bad_document_is_refused_with_its_place(file, content, line, message):
    path = file(content)
    with pytest.raises(DocumentError) as error:
        read_tests(load(path).tests, BUILT_IN)

    assert str(error.value).startswith(f"{path}, line {line}: ")
    assert message in str(error.value)


@pytest.mark.parametrize(("content", "line", "message"), STORED.values(), ids=STORED)
async def test_what_does_not_fit_the_database_is_one_line_with_its_place(readonly_db, file, content, line, message):
    path = file(content)
    result = await run_command(readonly_db.settings.database_url, "policies", "apply", str(path))

    assert result.code == 1
    assert result.err.startswith(f"rollcall: {path}, line {line}: ")
    assert message in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"#" * 9_000_000, "the file has more than 8388608 bytes."),
        (None, "the file can't be read: No such file or directory."),
    ],
)
async def test_a_file_that_cannot_be_read_is_named(readonly_db, file, tmp_path, content, message):
    path = tmp_path / "missing.yaml" if content is None else file(content)
    result = await run_command(readonly_db.settings.database_url, "policies", "apply", str(path))

    assert (result.code, result.err) == (1, f"rollcall: {path}: {message}\n")


async def test_an_ambiguous_name_must_be_an_id(restored_db, policies, file):
    await restored_db.load(
        {"directus_roles": [{"id": f"{n}0000000-0000-4000-8000-000000000001", "name": "Twin"} for n in (1, 2)]}
    )
    by_entry = await policies("plan", file("roles:\n  - name: Twin\n"))
    by_reference = await policies("plan", file("roles:\n  - name: A\n    parent: Twin\n"))

    assert 'there are 2 roles with the name "Twin"' in by_entry.err
    assert 'line 3: there are 2 roles "Twin". Refer to one by its id.' in by_reference.err


@pytest.mark.nightly
def test_a_file_with_very_many_values_is_refused(file):
    path = file("[" + "x, " * 500_000 + "x]")

    with pytest.raises(DocumentError, match="line 1: a file can have at most 500000 values"):
        load(path)
