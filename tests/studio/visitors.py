"""A visitor with a cookie jar, who fills in the forms of pages as they are."""

from dataclasses import dataclass

from tests.http.clients import cookies_of
from tests.studio.pages import Page, StudioClient


@dataclass
class Visitor(StudioClient):
    """A browser that stores the cookies it receives and sends forms with their hidden fields."""

    async def submit(self, page: Page, values: dict[str, str], action: str | None = None) -> Page:
        """Submit the page's only form, or that with this action, with what it contains and these values."""
        forms = {str(form["action"]).removeprefix("/admin"): form for form in page.html.select("form")}
        forms.pop("/sign-out", None)
        (path,) = forms if action is None else [action]
        contained = {str(each["name"]): str(each.get("value", "")) for each in forms[path].select("input[name]")}
        assert values.keys() <= {each["name"] for each in forms[path].select("[name]")}
        return await self.post(path, {**contained, **values})

    async def follow(self, page: Page) -> Page:
        """Load the page that a redirect leads to."""
        assert page.status == 303, page.text
        return await self.get(page.location.removeprefix("/admin"))

    async def _send(self, method: str, path: str, headers: dict[str, str], body: str | bytes | None = None) -> Page:
        page = await super()._send(method, path, headers, body)
        self.cookies |= {name: value for name, (value, _) in cookies_of(page.response).items()}
        return page
