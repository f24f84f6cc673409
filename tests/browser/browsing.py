"""Pages in a real browser, watched for everything that a page of the Studio must never do."""

from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, WebError

from app.testing import TestSystem
from tests.http.clients import PASSWORD, totp_code

Scheme = Literal["light", "dark"]

USERS_WITH_TFA = {"ed"}
EXPECTED_MESSAGE = "Failed to load resource: the server responded with a status of 4"
"""What browsers log for the status of a rejected form."""


@dataclass
class Browsing:
    """Opens pages of the Studio at `base_url`, and collects the `faults` of all of them."""

    browser: Browser
    base_url: str
    system: TestSystem
    faults: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    async def open(
        self,
        path: str | None = None,
        *,
        user: str | None = None,
        javascript: bool = True,
        scheme: Scheme = "light",
        width: int = 1280,
        language: str = "en-US",
        **options: Any,
    ) -> Page:
        """Return a page in a context of its own, with the session of a user such as `ada`."""
        context = await self.browser.new_context(
            base_url=self.base_url,
            java_script_enabled=javascript,
            color_scheme=scheme,
            viewport={"width": width, "height": 800},
            locale=language,
            reduced_motion="reduce",  # colors would be measured halfway to others
            **options,
        )
        context.set_default_timeout(10_000)
        self._watch(context)
        self.contexts.append(context)
        if user:
            await self.sign_in(context, user)
        page = await context.new_page()
        if path is not None:
            await page.goto(f"/admin{path}")
        return page

    async def sign_in(self, context: BrowserContext, user: str) -> None:
        """Set the session cookie of a user in all pages of a context."""
        credentials = {"email": f"{user}@example.com", "password": PASSWORD, "mode": "session"}
        if user in USERS_WITH_TFA:
            credentials["otp"] = totp_code()
        response = await context.request.post("/auth/login", data=credentials)
        assert response.ok, await response.text()

    async def close(self) -> None:
        """Close all pages."""
        for context in self.contexts:
            await context.close()

    def _watch(self, context: BrowserContext) -> None:
        host = urlsplit(self.base_url).netloc

        def on_console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and not message.text.startswith(EXPECTED_MESSAGE):
                self.faults.append(f"{message.type}: {message.text}")

        def on_error(error: WebError) -> None:
            self.faults.append(f"uncaught: {error.error}")

        def on_request(request: Request) -> None:
            address = urlsplit(request.url)
            if address.scheme not in ("data", "blob") and address.netloc != host:
                self.faults.append(f"request to another host: {request.url}")

        context.on("console", on_console)
        context.on("weberror", on_error)
        context.on("request", on_request)
