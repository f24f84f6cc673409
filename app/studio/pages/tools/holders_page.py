"""The page that finds who may do something."""

from typing import Any

from app.core.errors import Forbidden, RollcallError
from app.http.response import Response
from app.studio.form_errors import form_errors
from app.studio.page_numbers import page_number
from app.studio.page_request import PageRequest
from app.studio.pages.tools.access_check import Question, read_item
from app.studio.pages.tools.user_reference import MAX_MATCHES
from app.studio.routing import Route

PARAMETERS = ("action", "collection", "item", "field", "ip")
"""The parameters of the page, beside the number of the page of users, which are those of the question."""
USERS_PER_PAGE = 50
DOCUMENT = """query WhoCan(
  $action: String!, $collection: String!, $item: ID, $field: String, $ip: String, $limit: Int, $page: Int
) {
  access_who_can(
    action: $action, collection: $collection, item: $item, field: $field, ip: $ip, limit: $limit, page: $page
  ) {
    total public users { id email first_name last_name everywhere } roles { id name every_user }
  }
}"""


async def show_holders(request: PageRequest) -> Response:
    """Return the form of a question and, if the address contains one, its answer.

    Raises:
        Forbidden: The caller is not an admin.
    """
    rights, registry = await request.rights(), request.services.registry
    if not rights.admin:
        raise Forbidden
    texts = {name: request.query.get(name, "").strip() for name in PARAMETERS}
    page = page_number(request.query.get("page"))
    question = Question(texts, {name: text or None for name, text in texts.items()})
    if texts["action"] and texts["collection"]:
        await read_item(request, question)
    answer = await _answer(request, question, page) if question.is_clear else None
    return await request.page(
        "who_can.html",
        status=400 if question.errors else 200,
        errors=question.errors,
        question=texts,
        matches=question.matches.get("item", ()),
        max_matches=MAX_MATCHES,
        answer=answer,
        page=page,
        pages=max(1, -(-answer["total"] // USERS_PER_PAGE)) if answer else 1,
        collections=[collection.short_name for collection in registry.values()],
        fields=sorted({name for collection in registry.values() for name in collection.fields}),
    )


async def _answer(request: PageRequest, question: Question, page: int) -> dict[str, Any] | None:
    variables = {**question.variables, "limit": USERS_PER_PAGE, "page": page}
    try:
        answer: dict[str, Any] = (await request.execute(DOCUMENT, variables))["access_who_can"]
    except RollcallError as error:
        question.errors = form_errors(error, request.translate)
        return None
    return answer


ROUTES: tuple[Route, ...] = (Route("GET", "/access/who-can", show_holders),)
