"""The request for a page, as handlers get it, and the responses they return."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import ImmutableMultiDict, QueryParams

from app.core.errors import Forbidden, InvalidPayload
from app.http.exchange import BodyReader
from app.http.request_head import RequestHead
from app.http.response import HTML, PLAIN_TEXT, Header, Response
from app.repositories.directory import Directory
from app.repositories.services import Services
from app.studio.addresses import Addresses
from app.studio.documents import Document, execute
from app.studio.form_errors import FormErrors
from app.studio.form_token import FIELD, is_form_token
from app.studio.rights import Rights
from app.studio.site import Site
from app.studio.viewer import Project, Viewer

FORM_MEDIA_TYPE = b"application/x-www-form-urlencoded"
MAX_FORM_FIELDS = 5_000
FRAGMENT_HEADER = b"studio-fragment"
"""Header of a request that replaces a part of a page: the id of that part."""
CSP_DIRECTIVES = (
    b"default-src 'none'",
    b"script-src 'self'",
    b"style-src 'self'",
    b"img-src 'self' data: blob:",
    b"font-src 'self'",
    b"connect-src 'self'",
    b"form-action 'self'",
    b"frame-ancestors 'none'",
    b"base-uri 'none'",
)
TRUSTED_TYPES = (b"require-trusted-types-for 'script'", b"trusted-types studio")
CSP: Header = (b"content-security-policy", b"; ".join(CSP_DIRECTIVES + TRUSTED_TYPES))
REFERRER_POLICY: Header = (b"referrer-policy", b"strict-origin")
"""Not `no-referrer`, with which browsers send `Origin: null` to this server, too."""

Form = ImmutableMultiDict[str, str]


@dataclass(slots=True, eq=False)
class PageRequest:
    """A request for a page, or one that submits a form.

    `parameters` are those of the path, `query` those of the address.
    """

    site: Site
    directory: Directory
    head: RequestHead
    body: BodyReader
    method: str
    path: str
    """The requested path below the Studio's root."""
    parameters: Mapping[str, str]
    addresses: Addresses
    project: Project
    viewer: Viewer
    _documents: list[Document] = field(default_factory=list)
    _rights: Rights | None = None

    @property
    def services(self) -> Services:
        """The services of the server."""
        return self.directory.services

    @property
    def query(self) -> QueryParams:
        """The parsed query string."""
        return QueryParams(self.head.query)

    @property
    def fragment(self) -> str:
        """The id of the only part of the page that a script asks for; empty if the whole page is requested."""
        return self.head.header(FRAGMENT_HEADER).decode("latin-1")

    @property
    def user(self) -> str:
        """The id of the signed-in user; handlers of pages for visitors must not ask for it."""
        if self.viewer.id is None:
            raise Forbidden
        return self.viewer.id

    def translate(self, message: str) -> str:
        """Return a message in the language of the page."""
        return self.site.templates.translations(self.viewer.language).gettext(message)

    def translate_plural(self, one: str, many: str, count: int) -> str:
        """Return one of two messages, which depends on a count, in the language of the page."""
        return self.site.templates.translations(self.viewer.language).ngettext(one, many, count)

    async def form(self) -> Form:
        """Return the submitted form.

        Raises:
            InvalidPayload: The body is not a form.
            Forbidden: The form token of a signed-in user is missing or wrong.
        """
        if self.head.content_type.partition(b";")[0].strip().lower() != FORM_MEDIA_TYPE:
            raise InvalidPayload("The body has to be a form")
        try:
            pairs = parse_qsl(
                (await self.body()).decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FORM_FIELDS
            )
        except ValueError:
            raise InvalidPayload(f"The form is not valid UTF-8 or has more than {MAX_FORM_FIELDS} fields") from None
        form = Form(pairs)
        self.check_form_token(form.get(FIELD, ""))
        return form

    def check_form_token(self, token: str) -> None:
        """Check the token of a signed-in user's form.

        Raises:
            Forbidden: It is missing or wrong.
        """
        if self.viewer.id is not None and not is_form_token(self.services.settings, self.viewer.id, token):
            raise Forbidden(self.translate("This form belongs to another session. Reload the page and try again"))

    async def rights(self) -> Rights:
        """Return what the caller may do; read once for each page."""
        if self._rights is None:
            self._rights = Rights(await self.directory.fresh_access())
        return self._rights

    def watched_collections(self, rights: Rights | None, names: Iterable[str]) -> list[str]:
        """Return those of the collections to whose changes a script of the page may subscribe.

        There are none without realtime, and none in the response to a submitted form: its lists have no address.
        """
        settings = self.services.settings
        if rights is None or self.method != "GET":
            return []
        if not (settings.websockets_enabled and settings.websockets_graphql_enabled):
            return []
        return [name for name in names if rights.may("read", name)]

    async def execute(self, text: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the data of a GraphQL document; the page links to it if it is a query.

        Mutations are not linked: their variables may contain a password.

        Raises:
            RollcallError: The document has errors.
        """
        document = Document(text, dict(variables or {}))
        if not text.lstrip().startswith("mutation"):
            self._documents.append(document)
        return await execute(self.site.schema, self.directory, document)

    async def page(
        self, template: str, *, status: int = 200, errors: FormErrors | None = None, **context: Any
    ) -> Response:
        """Return a page. `errors` are the messages of a rejected form by field."""
        rights = await self.rights() if status < 500 and await self._may_navigate() else None
        variables = {
            "request": self,
            "viewer": self.viewer,
            "project": self.project,
            "rights": rights,
            "own_picture": None if self.fragment else await self._own_picture(rights),
            "errors": errors or {},
            "documents": self._documents,
            "url": self.addresses.page,
            **context,
        }
        html = self.site.templates.render(template, self.viewer.language, variables)
        return Response(html.encode(), status, HTML, [REFERRER_POLICY], no_store=True, policy=CSP)

    async def _own_picture(self, rights: Rights | None) -> str | None:
        """Return the id of the user's picture; None if there is none, or the user may not read the file."""
        key = self.viewer.avatar
        if key is None or rights is None or not rights.may("read", "files"):
            return None
        is_readable = rights.shows_all_rows("files", ["id"]) or await self.directory["files"].may("read", key)
        return key if is_readable else None

    async def _may_navigate(self) -> bool:
        """Return whether there is a user who does not have to set up two-factor authentication first."""
        if self.viewer.id is None:
            return False
        is_claimed = self.directory.caller.tfa_setup_required
        return not (is_claimed and (await self.directory.fresh_access()).tfa_setup_required)

    def redirect(
        self, path: str, parameters: Mapping[str, Any] | None = None, *, notice: str | None = None
    ) -> Response:
        """Return a redirect to a page of the Studio, which shows the notice with this name, if any."""
        return redirect_to(self.addresses.page(path, {**(parameters or {}), "notice": notice}))


def redirect_to(address: str) -> Response:
    """Return a redirect that browsers follow with GET."""
    headers = [(b"location", address.encode("latin-1")), REFERRER_POLICY]
    return Response(b"", 303, PLAIN_TEXT, headers, no_store=True, policy=CSP)


PageHandler = Callable[[PageRequest], Awaitable[Response]]
"""Answers a request for a page."""
