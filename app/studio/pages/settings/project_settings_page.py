"""The settings of the project; only those that the caller may read and change."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.core.errors import Forbidden, RollcallError
from app.http.response import Response
from app.query.collection import USERS
from app.query.filter import UnknownField, parse_filter
from app.repositories.project_settings import PRODUCT_NAME
from app.studio.form_errors import FormErrors, error_message, form_errors
from app.studio.page_request import PageRequest
from app.studio.pages.settings.password_policies import policy_error, try_password
from app.studio.pages.settings.project_settings_form import (
    EMAIL_FILTER,
    FIELDS,
    LOGO,
    POLICY,
    ROLE,
    Entries,
    changed_values,
    stored_entries,
    submitted_entries,
)
from app.studio.rights import Rights
from app.studio.routing import Route
from app.studio.translations import LANGUAGES

UPDATE = "mutation UpdateSettings($data: update_directus_settings_input!) { update_settings(data: $data) { id } }"
NESTED = {ROLE: f"{ROLE} {{ id name }}", LOGO: f"{LOGO} {{ id }}"}
"""The selections of fields that are relations."""


async def show_settings(request: PageRequest) -> Response:
    """Return the form with the stored settings."""
    return await settings_page(request)


async def save_settings(request: PageRequest) -> Response:
    """Store what was changed."""
    form = await request.form()
    fields, settings = editable_fields(await request.rights()), await _read(request)
    values, errors = changed_values(form, settings, fields, request.translate)
    if POLICY in values and (error := await policy_error(request, values[POLICY])):
        errors[POLICY] = error
    if EMAIL_FILTER in values and (error := filter_error(request, values[EMAIL_FILTER])):
        errors[EMAIL_FILTER] = error
    status = 422
    if values and not errors:
        try:
            await update_settings(request, values)
        except RollcallError as error:
            errors, status = _located(form_errors(error, request.translate), values), error.status
    if errors:
        return await settings_page(request, submitted_entries(form), errors=errors, status=status)
    return request.redirect("/settings", notice="settings-saved")


async def try_password_policy(request: PageRequest) -> Response:
    """Return whether the entered policy accepts an example: a part of the page for scripts, else the whole page.

    Raises:
        Forbidden: The caller may not change the policy.
    """
    form = await request.form()
    if POLICY not in editable_fields(await request.rights()):
        raise Forbidden
    outcome = await try_password(request, form)
    if request.fragment:
        return await request.page("settings/policy_result.html", outcome=outcome)
    return await settings_page(request, submitted_entries(form), outcome=outcome)


async def settings_page(
    request: PageRequest,
    entries: Entries | None = None,
    *,
    errors: FormErrors | None = None,
    status: int = 200,
    outcome: tuple[bool, str] | None = None,
) -> Response:
    """Return the page with these entries, or with the stored ones.

    Raises:
        Forbidden: The caller may not change settings.
    """
    rights = await request.rights()
    fields, settings = editable_fields(rights), await _read(request)
    return await request.page(
        "settings/form.html",
        status=status,
        errors=errors,
        fields=fields,
        entries=entries or stored_entries(settings),
        logo=settings.get(LOGO),
        may_upload=rights.may("create", "files"),
        roles=await _role_options(request, settings) if ROLE in fields else [],
        language_options=_language_options(settings.get("default_language")),
        product_name=PRODUCT_NAME,
        outcome=outcome,
    )


def editable_fields(rights: Rights) -> list[str]:
    """Return the settings that the caller may change and read.

    Raises:
        Forbidden: The caller may not change any, for which the API requires to read their key.
    """
    if not rights.may("update", "settings") or not rights.may_field("read", "settings", "id"):
        raise Forbidden
    fields = rights.fields("read", "settings", rights.fields("update", "settings", FIELDS))
    if ROLE in fields and not rights.may_fields("read", "roles", ["id", "name"]):
        fields.remove(ROLE)
    if LOGO in fields and not rights.may_field("read", "files", "id"):
        fields.remove(LOGO)
    return fields


def filter_error(request: PageRequest, value: Any) -> str | None:
    """Return why a filter of email addresses is invalid, so that it would accept no address; None if it is valid."""
    try:
        parse_filter(request.services.registry.own(USERS), value or {}, stored=True, for_payload=True)
    except UnknownField as error:
        return request.translate("The filter names a field that does not exist: {error}").format(error=error)
    except RollcallError as error:
        return error_message(error, request.translate)
    return None


async def update_settings(request: PageRequest, values: Mapping[str, Any]) -> None:
    """Change settings.

    Raises:
        RollcallError: They cannot be changed, or not by the caller.
    """
    await request.execute(UPDATE, {"data": values})


async def _read(request: PageRequest) -> Mapping[str, Any]:
    fields = ["id", *editable_fields(await request.rights())]
    data = await request.execute(f"{{ settings {{ {' '.join(NESTED.get(name, name) for name in fields)} }} }}")
    return data["settings"] or {}


async def _role_options(request: PageRequest, settings: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    rows = (await request.execute('{ roles(sort: ["name"], limit: -1) { id name } }'))["roles"]
    return [("", request.translate("No role")), *((row["id"], row["name"]) for row in rows)]


def _language_options(current: str | None) -> Sequence[tuple[str, str]]:
    """Return the languages of the Studio, and the stored one if it is another; a tag such as `de-DE` stays as it is."""
    stored = (current or "").partition("-")[0]
    options = [(current if current and code == stored else code, name) for code, name in LANGUAGES.items()]
    return options if not current or stored in LANGUAGES else [(current, current), *options]


def _located(errors: FormErrors, values: Mapping[str, Any]) -> FormErrors:
    """Return the errors with those of the whole form at the field that their message names, if it names one."""
    message = errors.get("", "")
    field = next((name for name in values if f'"{name}"' in message), "")
    return {name or field: text for name, text in errors.items()}


ROUTES: tuple[Route, ...] = (
    Route("GET", "/settings", show_settings),
    Route("POST", "/settings", save_settings),
    Route("POST", "/settings/try-password", try_password_policy),
)
