"""A browser's `EventSource` reads a GraphQL subscription; its session cookie identifies the caller."""

from contextlib import asynccontextmanager

from sqlalchemy import update

from app.db.models import User
from tests.base_data import uid
from tests.browser.backends import sqlite_only
from tests.http.clients import PASSWORD
from tests.realtime.sockets import serving, subscribed

pytestmark = sqlite_only

OPEN = """(url) => {
  const parameters = { query: "subscription { directus_users_mutated { key data { title } } }" };
  const target = `${url}/graphql/system?${new URLSearchParams(parameters)}`;
  window.source = new EventSource(target, { withCredentials: true });
  window.result = new Promise((resolve) => {
    source.addEventListener("next", (event) => resolve(JSON.parse(event.data)));
    source.addEventListener("error", () => resolve("refused"));
  });
}"""


def url_of(server):
    return f"http://127.0.0.1:{server.port}"


@asynccontextmanager
async def page_of(chromium, server, signed_in_at=None):
    """Open a page of a server, in a browser that has Ada's session at another or the same one."""
    context = await chromium.new_context(bypass_csp=True)  # that page allows itself no connections
    try:
        if signed_in_at:
            credentials = {"email": "ada@example.com", "password": PASSWORD, "mode": "session"}
            assert (await context.request.post(f"{url_of(signed_in_at)}/auth/login", data=credentials)).ok
        page = await context.new_page()
        await page.goto(f"{url_of(server)}/server/ping")
        yield page
    finally:
        await context.close()


async def test_the_cookie_of_a_page_of_the_server_identifies_the_caller(chromium, inviters_db, directory):
    async with serving(inviters_db.settings) as server:
        async with page_of(chromium, server) as page:
            await page.evaluate(OPEN, url_of(server))
            without_cookie = await page.evaluate("result")
        async with page_of(chromium, server, signed_in_at=server) as page:
            await page.evaluate(OPEN, url_of(server))
            await subscribed(server, 1)
            (member,) = server.hub._members
            async with directory.database.transaction() as connection:
                await connection.execute(update(User).where(User.id == uid("ed")).values(title="Streamed"))
            result = await page.evaluate("result")

    assert without_cookie == "refused"
    assert member.access.user == uid("ada")
    assert result["data"]["directus_users_mutated"] == {"key": uid("ed"), "data": {"title": "Streamed"}}
