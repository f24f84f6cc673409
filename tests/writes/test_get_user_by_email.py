"""Finding a user by email address: by the index, and only what the caller can see."""

import orjson
import pytest

from app.core.caller import SYSTEM
from app.core.errors import Forbidden
from tests.base_data import caller

pytestmark = pytest.mark.one_database


@pytest.fixture
def row_counts(editors, monkeypatch):
    """The number of rows in each JSON answer of the reader."""
    counts, fetch = [], editors.services.reader.fetch

    async def counted(*arguments, **options):
        row = await fetch(*arguments, **options)
        if isinstance(row[-1], str) and row[-1].startswith("["):
            counts.append(len(orjson.loads(row[-1])))
        return row

    monkeypatch.setattr(editors.services.reader, "fetch", counted)
    return counts


async def test_addresses_that_contain_the_text_are_not_loaded(editors, row_counts):
    await editors.directory(SYSTEM)["users"].create_many([{"email": f"x{n}ada@example.com"} for n in range(20)])

    ada = await editors.directory(SYSTEM)["users"].get_user_by_email("ADA@example.COM")

    assert ada is not None
    assert ada["email"] == "ada@example.com"
    assert set(row_counts) == {1}


@pytest.mark.parametrize(
    "email", ["", "nobody@example.com", "example.com", "a\0b@example.com", "a\ud800@example.com", "%"]
)
async def test_an_address_that_no_user_has_is_none(editors, email):
    assert await editors.directory(SYSTEM)["users"].get_user_by_email(email) is None


async def test_a_user_whom_the_caller_cannot_see_is_none(editors):
    users = editors.directory(caller("ed"))["users"]
    visible = {row["email"] for row in await users.read_by_query({"fields": ["email"], "limit": -1})}

    assert "vi@example.com" in visible
    assert "sue@example.com" not in visible
    assert await users.get_user_by_email("VI@example.com") is not None
    assert await users.get_user_by_email("sue@example.com") is None


async def test_a_caller_who_may_read_no_users_is_forbidden(editors):
    with pytest.raises(Forbidden):
        await editors.directory(caller("nora"))["users"].get_user_by_email("ada@example.com")
