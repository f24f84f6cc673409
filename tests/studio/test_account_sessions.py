"""The sessions of the signed-in user, their renewal by pages, and how devices are named."""

from datetime import timedelta

import pytest
import pytest_asyncio

from app.studio.devices import Device, describe_device
from tests.base_data import uid
from tests.http.clients import PASSWORD, SESSION, cookies_of
from tests.studio.pages import StudioClient
from tests.studio.visitors import Visitor

FIREFOX = {"user-agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"}
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
CREDENTIALS = {"email": "vi@example.com", "password": PASSWORD}


@pytest_asyncio.fixture
async def vi_later(visitor):
    """Vi, signed in to a server with a frozen clock for one day."""
    visitor.user = uid("vi")
    await visitor.post("/sign-in", CREDENTIALS)
    return visitor


def renewed(page):
    return SESSION in cookies_of(page.response)


async def test_a_page_renews_the_session_after_half_of_its_lifetime(vi_later, clock):
    clock.advance(timedelta(hours=11, minutes=59))
    assert not renewed(await vi_later.get("/account"))
    clock.advance(timedelta(minutes=2))

    assert renewed(await vi_later.get("/account"))
    assert not renewed(await vi_later.get("/account"))
    clock.advance(timedelta(minutes=1))
    assert (await vi_later.get("/account")).status == 200


async def test_two_tabs_at_the_same_time_stay_signed_in(vi_later, clock):
    clock.advance(timedelta(hours=13))
    other_tab = Visitor(vi_later.client, vi_later.system, None, dict(vi_later.cookies))

    first, second = await vi_later.get("/account"), await other_tab.get("/account")
    clock.advance(timedelta(minutes=1))

    assert renewed(first)
    assert renewed(second)
    assert (await vi_later.get("/account")).status == 200
    assert (await other_tab.get("/account")).status == 200


async def test_parts_of_pages_and_forms_renew_no_session(vi_later, clock):
    clock.advance(timedelta(hours=13))

    assert not renewed(await vi_later.get("/account", {"studio-fragment": "results"}))
    assert not renewed(await vi_later.post("/account/two-factor/set-up", {"password": "wrong"}))
    assert renewed(await vi_later.get("/account"))


async def test_a_session_that_was_not_used_ends(vi_later, clock):
    clock.advance(timedelta(hours=25))

    assert (await vi_later.get("/account")).location.startswith("/admin/sign-in")


async def test_sessions_are_listed_with_their_devices_and_the_current_one_is_marked(studio, vi):
    await studio.post("/sign-in", CREDENTIALS, FIREFOX)

    page = await vi.get("/account/sessions")

    current, other = page.html.select("tbody tr")
    assert "This device" in current.get_text()
    assert current.find("button") is None
    assert "Firefox on Windows" in other.get_text()
    assert "127.0.0.1" in other.get_text()


async def test_one_session_is_ended(studio, vi):
    await studio.post("/sign-in", CREDENTIALS, FIREFOX)
    action = (await vi.get("/account/sessions")).attribute_at("tbody form", "action").removeprefix("/admin")

    assert (await vi.post(action)).location == "/admin/account/sessions?notice=session-revoked"
    assert len((await vi.get("/account/sessions")).html.select("tbody tr")) == 1


async def test_all_other_sessions_are_ended(studio, vi):
    other = StudioClient(vi.client, vi.system, None, (await studio.sign_in("vi")).cookies)

    assert (await vi.post("/account/sessions/end-others")).status == 303

    assert (await vi.get("/account/sessions")).status == 200
    assert (await other.get("/account/sessions")).location.startswith("/admin/sign-in")


async def test_nobody_ends_the_session_of_another_user(studio, vi):
    ada = await studio.sign_in("ada")
    await studio.sign_in("ada")
    action = (await ada.get("/account/sessions")).attribute_at("tbody form", "action").removeprefix("/admin")

    await vi.post(action)

    assert len((await ada.get("/account/sessions")).html.select("tbody tr")) == 2


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (FIREFOX["user-agent"], ("Firefox", "Windows")),
        (CHROME, ("Chrome", "Linux")),
        (f"{CHROME} Edg/140.0.0.0", ("Edge", "Linux")),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", ("Safari", "iPhone")),
        ("curl/8.0.1", ("curl", None)),
        ("python-httpx/0.27.0", ("python-httpx", None)),
        ("", (None, None)),
        (None, (None, None)),
        ("Mozilla/5.0", (None, None)),
        ("<script>", (None, None)),
    ],
)
def test_a_device_is_named_by_its_user_agent(user_agent, device):
    assert describe_device(user_agent) == Device(*device)
