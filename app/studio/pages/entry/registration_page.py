"""Registration: visitors create their own account, if the project allows it."""

from app.core.errors import Forbidden, RollcallError, RouteNotFound
from app.flows.registration import Registration
from app.http.response import Response
from app.repositories.commands.registrations import read_registration_policy
from app.studio.form_errors import FormErrors
from app.studio.page_request import Form, PageRequest
from app.studio.pages.entry.new_password import password_errors, read_requirement
from app.studio.routing import Route


async def show_registration(request: PageRequest) -> Response:
    """Return the form to create an account.

    Raises:
        RouteNotFound: The project does not allow registration.
    """
    return await _registration_page(request, Form())


async def register(request: PageRequest) -> Response:
    """Create the account; the response does not reveal whether the email address has one already.

    Raises:
        RouteNotFound: The project does not allow registration.
    """
    _require_open(request)
    form = await request.form()
    names = {name: form.get(name, "").strip() or None for name in ("first_name", "last_name")}
    try:
        await Registration(request.directory).register(form.get("email", "").strip(), form.get("password", ""), **names)
    except Forbidden as error:
        message = request.translate("Accounts cannot be created with this email address.")
        return await _registration_page(request, form, {"email": message}, error.status)
    except RollcallError as error:
        return await _registration_page(request, form, password_errors(request, error), error.status)
    policy = await read_registration_policy(request.services)
    return request.redirect("/sign-in", notice="registration-mailed" if policy.verify_email else "registered")


def _require_open(request: PageRequest) -> None:
    if not request.project.is_registration_open:
        raise RouteNotFound(request.path)


async def _registration_page(
    request: PageRequest, form: Form, errors: FormErrors | None = None, status: int = 200
) -> Response:
    _require_open(request)
    values = {name: form.get(name, "") for name in ("email", "first_name", "last_name")}
    requirement = (await read_requirement(request))._replace(history=0)  # the user is new
    return await request.page("register.html", status=status, errors=errors, values=values, requirement=requirement)


ROUTES: tuple[Route, ...] = (
    Route("GET", "/register", show_registration, visitors=True),
    Route("POST", "/register", register, visitors=True),
)
