"""Every page of the Studio is accessible, in light and dark, and fits on a narrow screen."""

import pytest

from app.studio.pages import ROUTES
from tests.base_data import uid
from tests.browser import axe, requirements
from tests.browser.backends import sqlite_only

EXAMPLES = {
    "/roles/{role}": f"/roles/{uid('role-Editor')}",
    "/roles/{role}/edit": f"/roles/{uid('role-Editor')}/edit",
    "/roles/{role}/invite": f"/roles/{uid('role-Editor')}/invite",
    "/roles/{role}/add": f"/roles/{uid('role-Editor')}/add",
    "/roles/{role}/remove": f"/roles/{uid('role-Editor')}/remove?user={uid('ed')}",
    "/users/{user}/edit": f"/users/{uid('ed')}/edit",
    "/policies/{policy}": f"/policies/{uid('policy-Writers')}",
    "/policies/{policy}/{collection}/{action}": f"/policies/{uid('policy-Writers')}/directus_users/update",
    "/users/{user}": f"/users/{uid('ed')}",
}
"""A page of each route with parameters; its path may have a query."""

NOT_PAGES: dict[str, str] = {
    "/logo/{file}": "the logo of the project, an image",
    "/policies/vocabulary": "what the builder for rules offers, as JSON",
    "/graphiql": "GraphiQL, only if the extra is installed; docs/studio.md lists what axe-core reports there",
}
"""Routes whose responses are no pages, each with what they are instead."""

PAGE_ROUTES = [route for route in ROUTES if route.method == "GET" and route.path not in NOT_PAGES]
NARROW = {"width": 320, "height": 640}
OPEN_DETAILS = "document.querySelectorAll('details').forEach((element) => { element.open = true; })"
SIDEWAYS_SCROLL = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def test_every_route_has_an_example():
    with_parameters = {route.path for route in PAGE_ROUTES if "{" in route.path}

    assert set(EXAMPLES) == with_parameters
    assert {route.path for route in ROUTES} >= set(NOT_PAGES)


@pytest.fixture(params=PAGE_ROUTES, ids=lambda route: route.path or "/")
def route(request):
    return request.param


@pytest.mark.skipif(requirements.is_axe_missing(), reason="axe-core is missing; `make test-browser` fetches it")
@sqlite_only
async def test_every_page_is_accessible_and_fits_on_a_narrow_screen(browsing, route):
    page = await browsing.open(user=None if route.visitors else "ada")
    response = await page.goto(f"/admin{EXAMPLES.get(route.path, route.path)}")
    assert response.status == 200
    await page.evaluate(OPEN_DETAILS)
    light = await axe.violations(page)
    await page.emulate_media(color_scheme="dark")
    dark = await axe.violations(page)
    await page.set_viewport_size(NARROW)
    narrow = await axe.violations(page)

    assert (light, dark, narrow) == ([], [], [])
    assert await page.evaluate(SIDEWAYS_SCROLL) == 0
