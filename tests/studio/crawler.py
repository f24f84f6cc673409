"""A crawler that follows the links of the Studio as a user, and checks that none leads nowhere."""

from collections import Counter
from urllib.parse import parse_qsl, urljoin, urlsplit

from app.core.errors import RollcallError
from app.studio.pages import ROUTES
from app.studio.routing import Router
from tests.studio.pages import ORIGIN, Page

ROOT = "/admin"
SAME_KIND = 3
"""How many pages of one route with the same parameters in their address are visited."""


class Crawler:
    """Visits every page that is linked from the start page, and records the dead ends by the page that leads there."""

    def __init__(self, studio):
        self.studio, self.router = studio, Router(ROUTES)
        self.visited = Counter[tuple[str, frozenset[str]]]()
        self.waiting = [(f"{ROOT}", "")]
        self.seen = {ROOT}
        self.dead_ends = []

    async def run(self):
        while self.waiting:
            address, source = self.waiting.pop(0)
            await self.visit(address, source)

    async def visit(self, address, source):
        path = urlsplit(address).path
        response = await self.request(address)
        if response.is_redirect:
            self.follow(urljoin(address, response.headers["location"]), source)
        elif response.status_code >= 400:
            self.dead_ends.append(f"{source} links to {address}: {response.status_code}")
        elif path.startswith(ROOT) and response.headers["content-type"].startswith("text/html"):
            self.read(address, response)

    async def request(self, address):
        self.studio.client.cookies.clear()
        cookie = "; ".join(f"{name}={value}" for name, value in self.studio.cookies.items())
        return await self.studio.client.get(address, headers={"cookie": cookie} if cookie else {})

    def read(self, address, response):
        html = Page(response).html
        ids = {element["id"] for element in html.find_all(id=True)}
        for link in html.find_all("a"):
            target, _, fragment = str(link["href"]).partition("#")
            if not target and fragment not in ids:
                self.dead_ends.append(f"{address} links to #{fragment}, which is missing")
            elif target:
                self.follow(urljoin(address, target), address)
        for image in html.find_all("img", src=lambda source: source and not source.startswith("data:")):
            self.follow(urljoin(address, image["src"]), address)
        for form in html.find_all("form"):
            self.check_form(form, address)

    def follow(self, address, source):
        if urlsplit(address).netloc not in ("", urlsplit(ORIGIN).netloc):
            self.dead_ends.append(f"{source} links to another host: {address}")
            return
        kind = self.kind(address)
        if address not in self.seen and self.visited[kind] < SAME_KIND:
            self.seen.add(address)
            self.visited[kind] += 1
            self.waiting.append((address, source))

    def kind(self, address):
        """Return what pages have in common that differ in their values only."""
        parts = urlsplit(address)
        names = frozenset(name for name, _ in parse_qsl(parts.query))
        try:
            return self.router.match("GET", parts.path.removeprefix(ROOT)).route.path, names
        except RollcallError:
            return parts.path, names

    def check_form(self, form, address):
        method = form.get("method", "get").upper()
        actions = [button["formaction"] for button in form.select("[formaction]")] + [form.get("action", "")]
        for action in actions:
            path = urlsplit(urljoin(address, action)).path
            try:
                self.router.match(method, path.removeprefix(ROOT))
            except RollcallError:
                self.dead_ends.append(f"{address} has a form that leads nowhere: {method} {path}")
