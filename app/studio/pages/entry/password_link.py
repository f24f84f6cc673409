"""The pages of a mailed link with which a user sets a password."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from app.core.errors import Forbidden, InvalidInvite, InvalidToken, RollcallError, TokenExpired
from app.http.response import Response
from app.repositories.commands.accounts import Account
from app.studio.form_errors import FormErrors
from app.studio.page_request import Form, PageRequest
from app.studio.pages.entry.new_password import NextStep, enter, link_problem_page, password_errors
from app.studio.routing import Route

LINK_ERRORS = (Forbidden, InvalidInvite, InvalidToken, TokenExpired)


class PasswordLinkPages(ABC):
    """Shows a form for the password of the user of a link, and sets it. Each kind of link has its flow and texts."""

    path: ClassVar[str]
    notice: ClassVar[str]
    """The notice of the page to which the user is led when the password has been set."""

    @abstractmethod
    async def account(self, request: PageRequest, token: str) -> Account:
        """Return the account of a link; raise one of `LINK_ERRORS` if the link does not work."""

    @abstractmethod
    async def set_password(self, request: PageRequest, form: Form) -> None:
        """Set the password of a submitted form; raise RollcallError if it is rejected."""

    @abstractmethod
    async def texts(self, request: PageRequest, account: Account, form: Form) -> Mapping[str, Any]:
        """Return what the template shows besides the account and the errors; `form` is empty, or was rejected."""

    @abstractmethod
    def outdated(self, request: PageRequest, error: RollcallError) -> tuple[str, NextStep]:
        """Return the message of a link that has expired or was used, and what helps then."""

    async def show(self, request: PageRequest) -> Response:
        """Return the form; nothing is changed, because mail scanners open links too."""
        return await self._page(request, request.query.get("token", ""))

    async def submit(self, request: PageRequest) -> Response:
        """Set the password and sign in with it."""
        form = await request.form()
        token = form.get("token", "")
        try:
            email = (await self.account(request, token)).email or ""
            await self.set_password(request, form)
        except LINK_ERRORS as error:
            return await self._problem_page(request, error)
        except RollcallError as error:
            return await self._page(request, token, form, password_errors(request, error), error.status)
        return await enter(request, email, form.get("password", ""), self.notice)

    async def _page(
        self,
        request: PageRequest,
        token: str,
        form: Form | None = None,
        errors: FormErrors | None = None,
        status: int = 200,
    ) -> Response:
        try:
            account = await self.account(request, token)
        except LINK_ERRORS as error:
            return await self._problem_page(request, error)
        texts = await self.texts(request, account, form or Form())
        context = {"action": self.path, "email": account.email, "token": token, **texts}
        return await request.page("new_password.html", status=status, errors=errors, **context)

    async def _problem_page(self, request: PageRequest, error: RollcallError) -> Response:
        message, next_step = self.outdated(request, error)
        return await link_problem_page(request, error, message, next_step)

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes of the pages, which are for visitors."""
        return (
            Route("GET", self.path, self.show, visitors=True),
            Route("POST", self.path, self.submit, visitors=True),
        )
