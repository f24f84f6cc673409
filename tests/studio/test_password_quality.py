"""The forms for a new password show the limits of the settings, and say which of them a password breaks."""

import pytest
import pytest_asyncio

from tests.flows.inviters import update_settings
from tests.http.clients import PASSWORD
from tests.http.test_graphql import served
from tests.studio.pages import StudioClient
from tests.studio.test_password_recovery import STRONG, reset

LENGTH, RULES, COMMON = "At least 12 characters.", "At least 8 characters without", "Common passwords are refused."
PATTERN = "It has to match the pattern /[0-9]/"


@pytest_asyncio.fixture(scope="module")
async def strict_client(inviters_db):
    """A client of a server that refuses passwords with fewer than 12 characters, and common ones."""
    limits = {"password_min_length": 12, "password_reject_common": True}
    async with served(inviters_db.settings.model_copy(update=limits)) as client:
        yield client


@pytest_asyncio.fixture
async def ada(members, strict_client):
    return await StudioClient(strict_client, members).sign_in("ada")


@pytest.mark.parametrize(
    ("policy", "hint"),
    [
        (None, [LENGTH, COMMON]),
        ("/^.{8,}$/", [LENGTH, COMMON]),
        ("/^.{14,}$/", ["At least 14 characters.", COMMON]),
        (STRONG, [LENGTH, RULES, COMMON]),
        ("/[0-9]/", [LENGTH, COMMON, PATTERN]),
    ],
    ids=["none", "shorter", "longer", "strong", "other"],
)
async def test_the_form_shows_the_limits_of_the_settings_and_of_the_project(ada, members, policy, hint):
    await update_settings(members, auth_password_policy=policy)
    text = " ".join((await ada.get("/account/password")).html.get_text().split())

    positions = [text.index(part) for part in hint]
    assert positions == sorted(positions)
    assert sum(part in text for part in (LENGTH, RULES, COMMON, PATTERN)) == len({*hint} - {"At least 14 characters."})


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("short", "Enter at least 12 characters."),
        ("qwerty123456", "This is one of the most common passwords. Choose one that is harder to guess."),
    ],
)
async def test_a_refused_password_is_explained_at_its_field(ada, members, strict_client, password, message):
    account = await ada.post("/account/password", {"current": PASSWORD, "password": password})
    recovered = await reset(StudioClient(strict_client, members), password=password)
    await update_settings(members, auth_password_policy="/./")
    tried = await ada.post("/settings/try-password", {"password_preset": "none", "tried_password": password})

    assert account.errors == [f"New password: {message}"]
    assert [error.partition(": ")[2] for error in recovered.errors] == [message]
    assert message in tried.html.select_one("#policy-result").get_text()
