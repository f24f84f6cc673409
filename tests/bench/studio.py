"""Measures the Studio: `python -m tests.bench.studio --users 300 --users 100000`.

Prints, for each page, the CPU time of the server, the median time in which a client gets it and its size, and then the
memory of the server before and after 500 views of all pages in turn. Each request is the only one at its time. If there
is a browser, prints the time in which it shows the first row of the list of users, too.
"""

import argparse
import os
import time
from collections.abc import Iterator
from itertools import cycle, islice
from statistics import median

import httpx
import uvloop
from sqlalchemy import insert, text

from app.db.models import User
from app.flows.bootstrap import bootstrap
from app.testing import open_system
from tests.base_data import uid
from tests.bench.directory import ADMIN, SECRET, STATUSES, make_rows, role_id, token, user_id
from tests.bench.load import Server, wait_until_ready
from tests.bench.run import SERVE_ARGUMENTS, temporary_databases
from tests.browser.requirements import CHROMIUM, missing_requirements
from tests.conftest import HAS_POSTGRESQL, make_settings

PAINTED = """() => new Promise((resolve) => {
  const paint = ({ name, startTime }) => name === "first-contentful-paint" && resolve(startTime);
  new PerformanceObserver((list) => list.getEntries().forEach(paint)).observe({ type: "paint", buffered: true });
})"""
"""The server sends the rows with the page, so that the first paint shows them."""
COOKIE = "directus_session_token"
ROUNDS, VIEWS, BATCH_SIZE = 15, 500, 5_000
PAGES = {
    "sign-in": "/sign-in",
    "overview": "",
    "users": "/users",
    "users, page 5": "/users?page=5",
    "users, search": "/users?search=person00042",
    "users, status": "/users?status=suspended",
    "user": f"/users/{user_id(7)}",
    "user, edit": f"/users/{user_id(7)}/edit",
    "roles": "/roles",
    "role": f"/roles/{role_id(1)}",
    "policies": "/policies",
    "policy": f"/policies/{uid('bench-some')}",
    "permission": f"/policies/{uid('bench-some')}/directus_users/read",
    "activity": "/activity",
    "settings": "/settings",
    "account": "/account",
    "explain access": f"/access?action=read&collection=users&user={uid('guest')}&item={user_id(7)}",
    "explorer": "/explorer",
}


def make_users(count: int) -> Iterator[dict[str, object]]:
    for number in range(count):
        yield {
            "id": user_id(number),
            "email": f"person{number:06}@example.com",
            "first_name": f"First {number * 7919 % count}",
            "last_name": f"Last {number % 97}",
            "status": STATUSES[number // 5 % len(STATUSES)],
            "role_id": role_id(number % 5),
        }


async def fill(url: str, count: int) -> None:
    """Create the tables and insert the rows of the other benchmarks, with this number of users."""
    settings = make_settings(url)
    rows = make_rows()
    rows["directus_users"] = rows["directus_users"][-2:]
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        await system.load(rows)
        async with system.database.transaction() as connection:
            users = make_users(count)
            while batch := list(islice(users, BATCH_SIZE)):
                await connection.execute(insert(User), batch)
            await connection.execute(text("ANALYZE"))


async def get(client: httpx.AsyncClient, path: str) -> tuple[float, int]:
    """Return the milliseconds that a page takes, and its bytes."""
    started = time.perf_counter()
    response = await client.get(f"/admin{path}")
    assert response.status_code == 200, (path, response.status_code)
    return (time.perf_counter() - started) * 1000, len(response.content)


async def measure(server: Server, count: int) -> None:
    base_url, cookies = f"http://127.0.0.1:{server.port}", {COOKIE: token(ADMIN)}
    async with httpx.AsyncClient(base_url=base_url, cookies=cookies, timeout=60) as client:
        print(f"| page ({count} users) | CPU ms | ms | KB |\n|---|---|---|---|")
        for name, path in PAGES.items():
            await get(client, path)
            used = server.cpu_seconds()
            times, sizes = zip(*[await get(client, path) for _ in range(ROUNDS)], strict=True)
            used = (server.cpu_seconds() - used) / ROUNDS * 1000
            print(f"| {name} | {used:.1f} | {median(times):.1f} | {sizes[0] / 1024:.0f} |")
        before = server.memory()
        for path in islice(cycle(PAGES.values()), VIEWS):
            await get(client, path)
        print(f"memory: {before:.0f} MB before, {server.memory():.0f} MB after {VIEWS} views\n")
    if not missing_requirements():
        first, *later = await first_row(base_url)
        print(f"first row in a browser: {first:.0f} ms with an empty cache, {median(later):.0f} ms after that\n")


async def first_row(base_url: str) -> list[float]:
    """Return the milliseconds until a browser has painted the list of users, first with an empty cache."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM)
        context = await browser.new_context(base_url=base_url)
        await context.add_cookies([{"name": COOKIE, "value": token(ADMIN), "url": base_url}])
        page, times = await context.new_page(), []
        for _ in range(ROUNDS):
            await page.goto("/admin/users")
            await page.locator("tbody tr").first.wait_for()
            times.append(await page.evaluate(PAINTED))
        await browser.close()
    return times


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, action="append", help="number of users; may be repeated")
    counts = parser.parse_args().users or [300]
    for kind in ["SQLite", *(["PostgreSQL"] if HAS_POSTGRESQL else [])]:
        for count in counts:
            async with temporary_databases([kind]) as urls:
                await fill(urls[kind], count)
                server = Server(
                    SERVE_ARGUMENTS, {**os.environ, "DATABASE_URL": urls[kind], "SECRET": SECRET, "LOG_LEVEL": "warn"}
                )
                try:
                    await wait_until_ready(server)
                    print(f"### {kind}; {server.memory():.0f} MB when idle\n")
                    await measure(server, count)
                finally:
                    server.stop()


if __name__ == "__main__":
    uvloop.run(main())
