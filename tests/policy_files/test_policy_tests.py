"""Tests of policies say what users, roles and the public may do, as the resolver decides it."""

import pytest

from tests.base_data import OFFICE_IP, uid
from tests.cli.commands import run_command

PASSING = f"""
tests:
  - name: Editors
    as: Editor
    may:
      - read users.email
      - read roles
      - {{action: read users.email, item: ed@example.com}}
    may not:
      - read users.password
      - update users
      - {{action: read users.email, item: sue@example.com}}
    sees:
      - {{collection: users, rows: 9}}
      - collection: users
        filter: {{email: {{_starts_with: s}}}}
        emails: [sam@example.com]
      - {{collection: roles, filter: {{name: {{_eq: Staff}}}}, ids: [{uid("role-Staff")}]}}
  - as: sam@example.com
    may: [{{action: read users.token, item: {uid("sam")}}}]
    may not: [{{action: read users, item: ed@example.com}}]
    sees: [{{collection: users, emails: [sam@example.com]}}]
  - as: {{role: {uid("role-Office")}}}
    ip: {OFFICE_IP}
    may: [read users.email]
  - as: Office
    ip: 192.0.2.1
    may not: [read users]
  - as: {{user: sue@example.com}}
    may not: [read users]
    sees: [{{collection: users, rows: 0}}]
  - as: public
    may: [read roles.name]
    may not: [read users]
    sees: [{{collection: roles, rows: 2}}]
  - as: ada@example.com
    may: [delete users, create policies, update users.token]
    sees: [{{collection: users, filter: {{status: {{_eq: invited}}}}, rows: 1}}]
"""
WRITERS = """
roles:
  - {name: Writers, policies: [Writers]}
policies:
  - name: Writers
    permissions:
      - collection: directus_users
        action: create
        fields: [email, title]
        validation: {title: {_in: [Author, Reviewer]}}
        presets: {title: Author}
      - {collection: directus_users, action: update, fields: [title], permissions: {status: {_eq: active}}}
tests:
  - as: Writers
    may:
      - {action: create users, payload: {email: new@example.com}}
      - {action: create users, payload: {email: new@example.com, title: Reviewer}}
      - {action: update users, item: vi@example.com, payload: {title: x}}
    may not:
      - {action: create users, payload: {email: new@example.com, title: Owner}}
      - {action: create users, payload: {email: new@example.com, status: active}}
      - {action: update users, item: sue@example.com, payload: {title: x}}
      - {action: update users, item: vi@example.com, payload: {email: x@example.com}}
"""


async def test_expectations_that_hold_pass(readonly_db, file):
    result = await run_command(readonly_db.settings.database_url, "policies", "test", str(file(PASSING)))

    assert (result.code, result.out, result.err) == (0, "7 tests passed.\n", "")


async def test_payloads_are_judged_with_presets_and_validation_and_by_the_changed_policies(readonly_db, file):
    url, path = readonly_db.settings.database_url, str(file(WRITERS))
    changed = await run_command(url, "policies", "test", path)
    current = await run_command(url, "policies", "test", path, "--current")

    assert (changed.out, changed.err) == ("1 test passed.\n", "")
    assert (current.code, current.err) == (
        1,
        f"Tests fail:\n- {path}, line 14: there is no role 'Writers'.\n",
    )


FAILING = {
    "as: Editor, may: [update users.title]": 'role "Editor" may not update users.title, which is not expected.',
    "as: ada@example.com, may not: [delete users]": "ada@example.com may delete users, which is not expected.",
    "as: Office, ip: 192.0.2.1, may: [read users]": 'role "Office" at 192.0.2.1 may not read users, which is not',
    "as: sue@example.com, may: [read users]": "sue@example.com may not read users (the user is not active), which",
    "as: public, sees: [{collection: roles, rows: 9}]": "the public sees 2 rows of roles, not 9.",
    "as: Self, sees: [{collection: users, emails: [ed@example.com]}]": 'role "Self" does not see ed@example.com of',
    "as: sam@example.com, sees: [{collection: users, emails: []}]": "sam@example.com sees sam@example.com of users",
    "as: nobody@example.com, may: [read users]": "there is no user with the email address nobody@example.com.",
    "as: Nobodies, may: [read users]": "there is no role 'Nobodies'.",
    "as: public, may: [{action: read users, item: five}]": "'five' is no key of directus_users.",
    "as: public, may: [{action: read users, item: nobody@example.com}]": "there is no user with the email address",
    "as: public, sees: [{collection: users, filter: {email: {_is: x}}, rows: 0}]": "the filter cannot be read: ",
}


@pytest.mark.parametrize(("test", "reason"), FAILING.items())
async def test_an_expectation_that_does_not_hold_is_named_with_its_place(readonly_db, file, test, reason):
    path = file(f"tests:\n  - {{name: T, {test}}}\n")
    result = await run_command(readonly_db.settings.database_url, "policies", "test", str(path))

    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f'Tests fail:\n- {path}, line 2: test "T": {reason}')


async def test_a_failing_test_stops_apply_and_plan_says_so(policies, file):
    exported = (await policies("export")).out
    content = "roles: [{name: New}]\ntests: [{name: T, as: New, may: [read users]}]\n"
    path = file(content)
    plan, apply = await policies("plan", path), await policies("apply", path)

    failure = f'{path}, line 2: test "T": role "New" may not read users, which is not expected.\n'
    assert (plan.code, plan.err) == (1, f"Tests fail:\n- {failure}")
    assert (apply.code, apply.err) == (1, f"rollcall: the tests fail, so nothing was changed.\n{failure}")
    assert (await policies("export")).out == exported


async def test_tests_of_one_file_can_judge_the_changes_of_another(policies, file):
    tests = file("tests: [{as: Staff, may not: [read users.first_name]}]", "tests.yaml")
    changes = file("policies: [{name: Staff}]", "changes.yaml")

    assert (await policies("test", tests)).code == 1
    assert (await policies("test", tests, "--with", changes)).out == "1 test passed.\n"


async def test_a_file_without_tests_is_an_error(policies, file):
    assert (await policies("test", file("roles: [{name: New}]"))).err == "rollcall: There are no tests.\n"
    assert "set POLICY_TESTS" in (await policies("test")).err


async def test_without_an_argument_the_tests_of_the_setting_are_run(policies, file, monkeypatch):
    monkeypatch.setenv("POLICY_TESTS", str(file("tests: [{as: public, may not: [read users]}]")))

    assert (await policies("test")).out == "1 test passed.\n"
