"""A client that visits pages of the Studio and submits their forms, as a browser without scripts does."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

import httpx
from bs4 import BeautifulSoup

from app.core.config import Settings
from app.studio.form_token import form_token
from app.testing import TestSystem
from tests.base_data import uid
from tests.http.clients import PASSWORD, SESSION, cookies_of

ORIGIN = "http://rollcall"


@dataclass
class Page:
    """A response of the Studio."""

    response: httpx.Response

    @property
    def status(self) -> int:
        return self.response.status_code

    @cached_property
    def html(self) -> BeautifulSoup:
        return BeautifulSoup(self.response.text, "html.parser")

    @property
    def text(self) -> str:
        """The visible text, with single spaces."""
        return " ".join(self.html.get_text(" ").split())

    @property
    def location(self) -> str:
        """Where the response leads to."""
        return self.response.headers["location"]

    @property
    def errors(self) -> list[str]:
        """The entries of the error summary."""
        return [" ".join(entry.get_text(" ").split()) for entry in self.html.select(".error-summary li")]

    def text_at(self, selector: str) -> str:
        """The text of the first element that a selector matches."""
        element = self.html.select_one(selector)
        assert element is not None, selector
        return element.get_text()

    def attribute_at(self, selector: str, name: str) -> str:
        """An attribute of the first element that a selector matches."""
        element = self.html.select_one(selector)
        assert element is not None, selector
        return str(element[name])

    def has_link(self, path: str) -> bool:
        return self.html.find("a", href=path) is not None


@dataclass
class StudioClient:
    """A browser with the session of one user, or of none."""

    client: httpx.AsyncClient
    system: TestSystem
    user: str | None = None
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return self.system.settings

    async def sign_in(self, name: str, **values: str) -> "StudioClient":
        """Return the browser of the user with this name, such as `ada`."""
        page = await self.post("/sign-in", {"email": f"{name}@example.com", "password": PASSWORD, **values})
        assert page.status == 303, page.text
        return StudioClient(self.client, self.system, uid(name), {SESSION: cookies_of(page.response)[SESSION][0]})

    async def get(self, path: str = "", headers: dict[str, str] | None = None) -> Page:
        return await self._send("GET", path, headers or {})

    async def post(
        self, path: str, values: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> Page:
        """Submit a form as a browser does: with the origin and the form token of the page."""
        token = form_token(self.settings, self.user) if self.user else ""
        body = urlencode({"form_token": token, **(values or {})}, doseq=True)
        form = {"origin": ORIGIN, "content-type": "application/x-www-form-urlencoded", **(headers or {})}
        return await self._send("POST", path, form, body)

    async def upload(
        self, path: str, field: str, filename: str, content: bytes, media: str = "image/png", token: str | None = None
    ) -> Page:
        """Submit a form with a file, as a browser does."""
        token = token if token is not None else form_token(self.settings, self.user or "")
        parts: list[tuple[str, Any]] = [("form_token", (None, token)), (field, (filename, content, media))]
        form = httpx.Request("POST", ORIGIN, files=parts)
        form.read()
        headers = {"origin": ORIGIN, "content-type": form.headers["content-type"]}
        return await self._send("POST", path, headers, form.content)

    async def _send(self, method: str, path: str, headers: dict[str, str], body: str | bytes | None = None) -> Page:
        self.client.cookies.clear()
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {**({"cookie": cookie} if cookie else {}), **headers}
        return Page(await self.client.request(method, f"/admin{path}", headers=sent, content=body))
