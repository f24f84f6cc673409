"""Lists that scripts keep up to date: only with realtime, and only with what the caller may read."""

import pytest
import pytest_asyncio

from tests.base_data import uid
from tests.http.test_graphql import served
from tests.studio.grants import grant
from tests.studio.pages import StudioClient

EDITOR = f"/roles/{uid('role-Editor')}"


@pytest_asyncio.fixture
async def realtime(members, request):
    """The Studio of a server with realtime."""
    settings = {"websockets_enabled": True, **getattr(request, "param", {})}
    async with served(members.settings.model_copy(update=settings)) as client:
        yield StudioClient(client, members)


@pytest.mark.parametrize(
    ("path", "watched"),
    [
        ("/users", "users roles"),
        (EDITOR, "users"),
        ("/roles", "roles users"),
        ("/policies", "policies access"),
        ("/activity", "activity"),
    ],
)
async def test_a_list_names_the_collections_that_it_shows(realtime, path, watched):
    page = await (await realtime.sign_in("ada")).get(path)

    part = page.attribute_at("[data-live-bar]", "data-live-bar")
    assert page.attribute_at(f"#{part}", "data-watched") == watched
    assert page.html.select_one("[data-live-bar]").has_attr("hidden")


async def test_a_list_names_no_collection_that_the_caller_may_not_read(realtime):
    page = await (await realtime.sign_in("vi")).get("/users")

    assert page.attribute_at("#results", "data-watched") == "users"


async def test_older_pages_of_the_activity_are_not_updated(realtime):
    page = await (await realtime.sign_in("ada")).get("/activity?before=100000")

    assert page.html.select("[data-live-bar], [data-watched]") == []


async def test_the_list_of_a_rejected_action_is_not_updated(realtime):
    page = await (await realtime.sign_in("ada")).post("/users/bulk", {"action": "status"})

    assert page.status == 400
    assert page.html.select("[data-live-bar], [data-watched]") == []


@pytest.mark.parametrize(
    "realtime", [{"websockets_enabled": False}, {"websockets_graphql_enabled": False}], indirect=True
)
async def test_without_realtime_no_list_is_updated(realtime):
    page = await (await realtime.sign_in("ada")).get("/users")

    assert page.status == 200
    assert page.html.select("[data-live-bar], [data-watched]") == []


async def test_a_script_gets_the_whole_page_of_a_role_instead_of_users_that_the_caller_may_not_see(ada, vi):
    await grant(ada.system, "read", "roles", "id,name")
    shown = await ada.get(EDITOR, headers={"Studio-Fragment": "users-in-role"})
    hidden = await vi.get(EDITOR, headers={"Studio-Fragment": "users-in-role"})

    assert shown.html.select_one("#users-in-role")
    assert hidden.text_at("h1") == "Editor"
    assert not hidden.html.select_one("#users-in-role")
