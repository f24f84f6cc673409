"""The page that explains why a user may or may not do something."""

from typing import Any

from app.core.errors import InvalidPayload, RollcallError
from app.http.response import Response
from app.query.collection import USERS
from app.studio.form_errors import FormErrors, form_errors
from app.studio.page_request import PageRequest
from app.studio.routing import Route

QUESTION = ("user", "action", "collection", "item", "field", "ip")
"""The parameters of the page, which are those of the question."""
DOCUMENT = """query Explain($user: ID, $action: String!, $collection: String!, $item: ID, $field: String, $ip: String) {
  access_explain(user: $user, action: $action, collection: $collection, item: $item, field: $field, ip: $ip) {
    allowed user status collection action item field ip
    policies {
      id name in_force ip_access admin_access origins { kind role role_name }
      permissions { id fields includes_field matches_item problem conditions { text matches } }
    }
  }
}"""


async def show_access_check(request: PageRequest) -> Response:
    """Return the form of a question and, if the address contains one, its answer."""
    rights = await request.rights()
    question = {name: request.query.get(name, "").strip() for name in QUESTION}
    answer: dict[str, Any] | None = None
    errors: FormErrors = {}
    if question["action"] and question["collection"]:
        try:
            answer = (await request.execute(DOCUMENT, await _variables(request, question)))["access_explain"]
        except RollcallError as error:
            errors = form_errors(error, request.translate)
    registry = request.services.registry
    return await request.page(
        "access_check.html",
        status=400 if errors else 200,
        errors=errors,
        question=question,
        answer=answer,
        collections=[collection.short_name for collection in registry.values()],
        fields=sorted({name for collection in registry.values() for name in collection.fields}) if rights.admin else [],
    )


async def _variables(request: PageRequest, question: dict[str, str]) -> dict[str, Any]:
    """Return the variables of the question, with users named by their email addresses replaced by their ids."""
    values: dict[str, Any] = {name: value or None for name, value in question.items()}
    values["user"] = await _user_id(request, "user", question["user"]) if question["user"] else request.user
    is_of_users = question["collection"] in (USERS.name, USERS.short_name)
    if question["item"] and is_of_users:
        values["item"] = await _user_id(request, "item", question["item"])
    return values


async def _user_id(request: PageRequest, name: str, text: str) -> str:
    if "@" not in text:
        return text
    user = await request.directory["users"].get_user_by_email(text)
    if user is None:
        raise InvalidPayload(request.translate("There is no user with this email address"), field=name)
    return str(user["id"])


ROUTES: tuple[Route, ...] = (Route("GET", "/access", show_access_check),)
