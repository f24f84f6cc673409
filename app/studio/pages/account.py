"""The profile of the signed-in user."""

from typing import Any

from app.core.errors import Forbidden, RollcallError
from app.http.response import Response
from app.studio.form_errors import FormErrors, form_errors
from app.studio.page_request import Form, PageRequest
from app.studio.pages.user_writes import update_own_user
from app.studio.rights import Rights
from app.studio.routing import Route
from app.studio.translations import LANGUAGES

LANGUAGE_TAGS = {"en-US": "en", "de-DE": "de"}
"""The languages of the Studio as Directus stores them."""
FIELDS = ("first_name", "last_name", "email", "title", "location", "description", "language", "appearance")


async def show_profile(request: PageRequest) -> Response:
    """Return the profile: fields that the user may change as a form, all others that are readable as text."""
    return await _profile_page(request, await _read_profile(request, await request.rights()))


async def save_profile(request: PageRequest) -> Response:
    """Save the changed fields."""
    form, rights = await request.form(), await request.rights()
    stored = await _read_profile(request, rights)
    changes = _changes(form, stored, await _editable(request, rights))
    if not changes:
        return request.redirect("/account")
    try:
        await update_own_user(request, changes)
    except RollcallError as error:
        errors = form_errors(error, request.translate)
        return await _profile_page(request, stored, {**stored, **changes}, errors, error.status)
    return request.redirect("/account", notice="saved")


async def _read_profile(request: PageRequest, rights: Rights) -> dict[str, Any]:
    """Return the readable fields; a user who may not read the own row has none."""
    fields = rights.fields("read", "users", FIELDS)
    if not fields:
        return {}
    try:
        data = await request.execute(f"query Profile {{ users_me {{ {' '.join(fields)} }} }}")
    except Forbidden:
        return {}
    return data["users_me"] or {}


async def _editable(request: PageRequest, rights: Rights) -> list[str]:
    """Return the fields that the user may change in the own row, as far as that is known before."""
    fields = rights.fields("update", "users", FIELDS)
    return fields if fields and await request.directory["users"].may("update", request.user) else []


def _changes(form: Form, stored: dict[str, Any], editable: list[str]) -> dict[str, str | None]:
    """Return the values that differ from the stored ones; an empty field is null."""
    entered = {name: form[name].strip().replace("\r\n", "\n") for name in editable if name in form}
    return {name: value or None for name, value in entered.items() if value != (stored.get(name) or "")}


def _language_options(request: PageRequest, stored: str | None) -> list[tuple[str, str]]:
    """Return the languages to choose from; the stored one may be one that another application offers."""
    options = [("", request.translate("As the browser"))]
    options += [(tag, LANGUAGES[code]) for tag, code in LANGUAGE_TAGS.items()]
    return options if not stored or stored in LANGUAGE_TAGS else [*options, (stored, stored)]


async def _profile_page(
    request: PageRequest,
    stored: dict[str, Any],
    values: dict[str, Any] | None = None,
    errors: FormErrors | None = None,
    status: int = 200,
) -> Response:
    return await request.page(
        "account/profile.html",
        status=status,
        errors=errors,
        editable=await _editable(request, await request.rights()),
        stored=stored,
        languages=_language_options(request, stored.get("language")),
        values=stored if values is None else values,
    )


ROUTES: tuple[Route, ...] = (
    Route("GET", "/account", show_profile),
    Route("POST", "/account", save_profile),
)
