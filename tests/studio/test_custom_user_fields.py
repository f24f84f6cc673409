"""Custom fields of users in the list and in the form, by their types."""

from urllib.parse import urlencode

import pytest
import pytest_asyncio
from sqlalchemy import update

from app.db.models import User
from tests.base_data import IS_SELF, uid
from tests.custom_fields.conftest import client, custom, custom_db
from tests.http.clients import PASSWORD_HASH
from tests.studio.grants import grant
from tests.studio.pages import StudioClient
from tests.studio.test_user_form import error_at, fields
from tests.studio.test_user_list import emails, headers
from tests.writes.conftest import run_sql

__all__ = ["client", "custom", "custom_db"]

VALUES = {
    "phone": "+43 1 234",
    "badge_number": "17",
    "points": "9007199254740993",
    "rating": "4.5",
    "salary": "1234.5",
    "remote": "true",
    "skills": '{"a": [1, 2]}',
    "labels": "red, green",
    "external_ref": uid("anything"),
    "birthday": "1990-02-03",
    "shift_start": "08:30:00",
    "hired_at": "2020-01-02T03:04:05",
    "checked_at": "2021-01-02T03:04:05",
    "level": "2",
}


@pytest_asyncio.fixture
async def ada(custom, client):
    """The Studio of a directory with custom fields, visited by Ada."""
    async with custom.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("ada")).values(password=PASSWORD_HASH))
    return await StudioClient(client, custom).sign_in("ada")


async def saved(ada, **values):
    path = f"/users/{uid('ed')}/edit"
    return await ada.post(path, {**fields(await ada.get(path)), **values})


async def test_values_of_each_type_are_saved_and_shown_again(ada):
    page = await saved(ada, **VALUES)
    assert page.status == 303, page.errors

    shown = fields(await ada.get(f"/users/{uid('ed')}/edit"))

    assert {name: shown[name] for name in VALUES if name != "skills"} == {
        name: value for name, value in VALUES.items() if name != "skills"
    } | {"salary": shown["salary"]}
    assert float(shown["salary"]) == 1234.5
    assert '"a"' in shown["skills"]
    assert (await saved(ada)).status == 303
    detail = await ada.get(f"/users/{uid('ed')}")
    assert "+43 1 234" in detail.text
    assert "Badge number" in detail.text


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("badge_number", "many", "Enter a whole number."),
        ("rating", "good", "Enter a number."),
        ("skills", "{", "This is not valid JSON: line 1, column 2."),
        ("level", "0", "This value is not allowed."),
    ],
)
async def test_what_is_no_value_is_reported_at_its_field(ada, name, text, message):
    page = await saved(ada, **{name: text})

    assert page.status in (400, 422)
    assert error_at(page, name) == message
    assert fields(page)[name] == text


@pytest.mark.parametrize("text", ["VI@example.com", uid("vi")])
async def test_a_relation_is_set_by_what_people_call_its_row(ada, text):
    page = await saved(ada, manager=text)
    assert page.status == 303, page.errors

    assert fields(await ada.get(f"/users/{uid('ed')}/edit"))["manager"] == "vi@example.com"
    assert "vi@example.com" in (await ada.get(f"/users/{uid('ed')}")).text_at("dl.details")
    assert (await saved(ada)).status == 303
    assert (await saved(ada, manager="")).status == 303
    assert fields(await ada.get(f"/users/{uid('ed')}/edit"))["manager"] == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nobody@example.com", "There is no such entry."),
        ("x" * 300, "There is no such entry."),
        (uid("no such user"), "This entry no longer exists. Choose another one."),
    ],
)
async def test_what_names_no_row_is_reported_at_its_field(ada, text, message):
    page = await saved(ada, manager=text)

    assert page.status in (400, 422)
    assert error_at(page, "manager") == message
    assert fields(page)["manager"] == text


async def test_secrets_and_automatic_fields_are_not_in_the_form(ada):
    names = set(fields(await ada.get(f"/users/{uid('ed')}/edit")))

    assert not names & {"pin", "secret_note", "made_on", "changed_on", "made_by", "changed_by"}


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("has.phone=43+1", True),
        ("has.phone=99", False),
        ("is.remote=true", True),
        ("is.remote=false&search=ed@", False),
        ("from.badge_number=17&to.badge_number=17", True),
        ("from.badge_number=18", False),
        ("from.birthday=1990-02-03&to.birthday=1990-02-03", True),
        ("to.birthday=1990-02-02", False),
        ("to.hired_at=2020-01-02", True),
        ("to.hired_at=2020-01-01", False),
        ("from.hired_at=2020-01-01&from.salary=1234&is.level=2&from.points=5", True),
    ],
)
async def test_the_list_is_filtered_by_custom_fields(ada, query, found):
    await saved(ada, **VALUES)

    page = await ada.get(f"/users?{query}")

    assert page.errors == []
    assert ("ed@example.com" in emails(page)) is found


@pytest.mark.parametrize(
    ("text", "found", "errors"),
    [
        ("VI@example.com", ["ed@example.com"], []),
        (uid("vi"), ["ed@example.com"], []),
        ("sam@example.com", [], []),
        ("nobody@example.com", None, ["is.manager: This value is not valid for this filter."]),
    ],
)
async def test_the_list_is_filtered_by_a_relation(ada, text, found, errors):
    await saved(ada, manager="vi@example.com")
    query = urlencode({"is.manager": text})

    page = await ada.get(f"/users?{query}")

    assert page.errors == errors
    assert found is None or emails(page) == found
    assert page.attribute_at("[name='is.manager']", "value") == text


async def test_a_relation_is_a_column_that_the_list_is_sorted_by(ada):
    await saved(ada, manager="vi@example.com")

    page = await ada.get("/users?columns=name&columns=email&columns=manager&sort=-manager")

    assert headers(page)[1:] == ["Name", "Email", "Manager"]
    (cell,) = [row.find_all("td")[2] for row in page.html.select("tbody tr") if "ed@example.com" in row.get_text()]
    assert cell.get_text(strip=True) == "vi@example.com"
    assert cell.a["href"] == f"/admin/users/{uid('vi')}"
    assert "manager.email" in page.html.find("a", string="CSV")["href"]
    ascending = await ada.get("/users?columns=name&columns=email&columns=manager&sort=manager")
    assert emails(page)[0] != emails(ascending)[0]


async def test_the_own_profile_has_relations(ada):
    control = "#field-manager"
    rejected = await ada.post("/account", {"manager": "nobody@example.com"})
    assert (rejected.status, error_at(rejected, "manager")) == (422, "There is no such entry.")
    assert rejected.attribute_at(control, "value") == "nobody@example.com"

    for text in ("vi@example.com", ""):
        assert (await ada.post("/account", {"manager": text})).status == 303
        assert (await ada.get("/account")).attribute_at(control, "value") == text


@pytest.mark.parametrize(("fields", "is_offered"), [("manager,reports", True), ("manager", False)])
async def test_a_relation_is_offered_only_to_who_may_follow_it(custom, client, fields, is_offered):
    await grant(custom, "read", "users", f"id,email,first_name,title,badge_photo,{fields}")
    await grant(custom, "update", "users", "manager", permissions=IS_SELF)
    async with custom.database.transaction() as connection:
        await connection.execute(
            update(User).where(User.id == uid("vi")).values(password=PASSWORD_HASH, tfa_secret=None)
        )
    vi = await StudioClient(client, custom).sign_in("vi")

    page = await vi.get("/users")

    assert bool(page.html.select("[name='is.manager']")) is is_offered
    assert bool(page.html.select("input[name=columns][value=manager]")) is is_offered
    assert not page.html.select("[name='is.badge_photo'], input[name=columns][value=badge_photo]")
    assert (await vi.get("/users?columns=name&columns=manager&columns=badge_photo")).status == 200
    assert (await vi.get(f"/users/{uid('vi')}")).status == 200
    assert bool((await vi.get("/account")).html.select("#field-manager")) is is_offered
    if is_offered:
        saved = await vi.post("/account", {"manager": "ed@example.com"})
        assert saved.status == 303, saved.errors
        assert (await vi.get("/account")).attribute_at("#field-manager", "value") == "ed@example.com"


async def test_choices_become_a_select(ada):
    options = '{"choices": [{"text": "Gold", "value": "g"}, {"text": "Silver", "value": "s"}]}'
    await run_sql(
        ada.system.settings.database_url, f"UPDATE directus_fields SET options = '{options}' WHERE field = 'phone';"
    )

    form = await ada.get(f"/users/{uid('ed')}/edit")
    page = await ada.get("/users?columns=name&columns=email&columns=phone&sort=-phone")

    assert [option.get_text() for option in form.html.select("#field-phone option")] == ["Not set", "Gold", "Silver"]
    assert page.html.find("select", {"name": "is.phone"})
    assert headers(page)[1:] == ["Name", "Email", "Phone"]


async def test_a_deletion_names_only_readable_fields_that_it_empties(ada, custom, client):
    everything = (await ada.get(f"/users/{uid('ed')}/delete")).text
    await grant(custom, "delete", "users", None)
    async with custom.database.transaction() as connection:
        await connection.execute(
            update(User).where(User.id == uid("vi")).values(password=PASSWORD_HASH, tfa_secret=None)
        )
    vi = await StudioClient(client, custom).sign_in("vi")
    limited = (await vi.get(f"/users/{uid('ed')}/delete")).text

    assert "Emptied wherever they name the user" in everything
    assert "Delete user" in limited
    assert "Emptied wherever they name the user" not in limited
