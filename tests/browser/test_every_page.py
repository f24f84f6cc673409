"""Every page of the Studio is accessible, in light and dark, and fits on a narrow screen, also in German."""

from collections.abc import Callable
from functools import partial

import pytest

from app.core.email_links import LinkPurpose, password_fingerprint
from app.studio.pages import ROUTES
from app.testing import TestSystem
from tests.base_data import uid
from tests.browser import axe, requirements
from tests.browser.backends import sqlite_only
from tests.flows.inviters import link_token
from tests.http.clients import PASSWORD_HASH


def link(path: str, purpose: LinkPurpose, user: str, system: TestSystem) -> str:
    """Return the page of a mailed link."""
    password = password_fingerprint(PASSWORD_HASH) if purpose is LinkPurpose.RESET else None
    return f"{path}?token={link_token(system, purpose, f'{user}@example.com', uid(user), password)}"


EXAMPLES: dict[str, str | Callable[[TestSystem], str]] = {
    "/roles/{role}": f"/roles/{uid('role-Editor')}",
    "/roles/{role}/edit": f"/roles/{uid('role-Editor')}/edit",
    "/roles/{role}/invite": f"/roles/{uid('role-Editor')}/invite",
    "/roles/{role}/add": f"/roles/{uid('role-Editor')}/add",
    "/roles/{role}/remove": f"/roles/{uid('role-Editor')}/remove?user={uid('ed')}",
    "/users/{user}/edit": f"/users/{uid('ed')}/edit",
    "/users/{user}/delete": f"/users/{uid('ed')}/delete",
    "/users/{user}/tokens": f"/users/{uid('ed')}/tokens",
    "/users/{user}/tokens/new": f"/users/{uid('ed')}/tokens/new",
    "/policies/{policy}": f"/policies/{uid('policy-Writers')}",
    "/policies/{policy}/{collection}/{action}": f"/policies/{uid('policy-Writers')}/directus_users/update",
    "/users/{user}": f"/users/{uid('ed')}",
    "/sign-in/with/{provider}": "/sign-in/with/office",
    "/accept-invite": partial(link, "/accept-invite", LinkPurpose.INVITATION, "ida"),
    "/reset-password": partial(link, "/reset-password", LinkPurpose.RESET, "vi"),
}
"""A page of each route with parameters; its path may have a query."""

LINKED = {"/activity/{entry}": "/activity"}
"""Routes whose pages have no fixed address, each with a page whose table links to one first."""

NOT_PAGES: dict[str, str] = {
    "/logo/{file}": "the logo of the project, an image",
    "/policies/vocabulary": "what the builder for rules offers, as JSON",
    "/graphiql": "GraphiQL, only if the extra is installed; docs/studio.md lists what axe-core reports there",
}
"""Routes whose responses are no pages, each with what they are instead."""

PAGE_ROUTES = [route for route in ROUTES if route.method == "GET" and route.path not in NOT_PAGES]
UNFOLD = "document.querySelectorAll('details').forEach((element) => { element.open = true; })"
SIDEWAYS_SCROLL = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def test_every_route_has_an_example():
    with_parameters = {route.path for route in PAGE_ROUTES if "{" in route.path}

    assert set(EXAMPLES) | set(LINKED) >= with_parameters
    assert {route.path for route in ROUTES} >= set(NOT_PAGES)


@pytest.fixture(params=PAGE_ROUTES, ids=lambda route: route.path or "/")
def route(request):
    return request.param


@pytest.fixture
def address(route, directory):
    """The address of a page of the route."""
    example = EXAMPLES.get(route.path, route.path)
    return example if isinstance(example, str) else example(directory)


async def load(browsing, route, address, **options):
    """Return a page with everything that can be unfolded."""
    page = await browsing.open(user=None if route.visitors else "ada", **options)
    if route.path in LINKED:
        await page.goto(f"/admin{LINKED[route.path]}")
        address = (await page.locator("tbody th a").first.get_attribute("href")).removeprefix("/admin")
    response = await page.goto(f"/admin{address}")
    assert response.status == 200
    await page.evaluate(UNFOLD)
    return page


@pytest.mark.skipif(requirements.is_axe_missing(), reason="axe-core is missing; `make test-browser` fetches it")
@sqlite_only
async def test_every_page_is_accessible_in_light_and_dark(browsing, route, address):
    page = await load(browsing, route, address)
    light = await axe.violations(page)
    await page.emulate_media(color_scheme="dark")
    dark = await axe.violations(page)

    assert (light, dark) == ([], [])


@sqlite_only
async def test_every_page_in_german_fits_on_a_narrow_screen(browsing, route, address):
    page = await load(browsing, route, address, width=320, language="de-DE")

    assert await page.evaluate(SIDEWAYS_SCROLL) == 0
    if not requirements.is_axe_missing():
        assert await axe.violations(page) == []
