"""The page that explains why a user may or may not do something."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.core.errors import Forbidden, RollcallError
from app.http.response import Response
from app.policy.filter_leaves import filter_text, leaves
from app.query.collection import PREFIX, USERS, Collection
from app.query.filter import parse_filter
from app.query.payload import parse_key
from app.studio.form_errors import FormErrors, form_errors
from app.studio.page_request import PageRequest
from app.studio.pages.tools.explained_item import ExplainedItem, read_explained_item
from app.studio.pages.tools.user_reference import MAX_MATCHES, MatchingUser, find_users
from app.studio.pages.users.user_fields import rule_words
from app.studio.routing import Route

QUESTION = ("user", "action", "collection", "item", "field", "ip")
"""The parameters of the page, which are those of the question."""
DOCUMENT = """query Explain($user: ID, $action: String!, $collection: String!, $item: ID, $field: String, $ip: String) {
  access_explain(user: $user, action: $action, collection: $collection, item: $item, field: $field, ip: $ip) {
    allowed user status collection action item field ip
    policies {
      id name in_force ip_access admin_access origins { kind role role_name expires expired }
      permissions { id fields includes_field matches_item problem rule conditions { text matches } }
    }
  }
}"""


@dataclass(slots=True)
class Question:
    """What the form contains, the variables of the question, and what is wrong or unclear about it."""

    texts: Mapping[str, str]
    variables: dict[str, Any]
    errors: FormErrors = field(default_factory=dict)
    matches: dict[str, Sequence[MatchingUser]] = field(default_factory=dict)
    """The users that a text names, by field, if it names several."""
    user_name: str = ""

    @property
    def is_clear(self) -> bool:
        """Whether there is something to explain."""
        return bool(self.texts["action"] and self.texts["collection"]) and not (self.errors or self.matches)


async def show_access_check(request: PageRequest) -> Response:
    """Return the form of a question and, if the address contains one, its answer."""
    rights, registry = await request.rights(), request.services.registry
    texts = {name: request.query.get(name, "").strip() for name in QUESTION}
    question = Question(texts, {name: text or None for name, text in texts.items()})
    if texts["action"] and texts["collection"]:
        await _read_user(request, question)
        await read_item(request, question)
    answer = await _answer(request, question) if question.is_clear else None
    item = await _explained_item(request, question, answer) if answer and answer["item"] else None
    return await request.page(
        "access_check.html",
        status=400 if question.errors else 200,
        errors=question.errors,
        question=texts,
        matches=question.matches,
        max_matches=MAX_MATCHES,
        answer=None if question.errors else answer,
        item=item,
        words=_words(request, answer) if answer else {},
        user_name=question.user_name,
        collections=[collection.short_name for collection in registry.values()],
        fields=sorted({name for collection in registry.values() for name in collection.fields}) if rights.admin else [],
    )


async def _answer(request: PageRequest, question: Question) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = (await request.execute(DOCUMENT, question.variables))["access_explain"]
    except Forbidden as error:
        if not question.texts["item"] or question.variables["user"] != request.user:
            question.errors = form_errors(error, request.translate)
        else:
            question.errors = _no_such_row(request)
        return None
    except RollcallError as error:
        question.errors = form_errors(error, request.translate)
        return None
    return answer


async def _read_user(request: PageRequest, question: Question) -> None:
    """Find the user whose access is explained: the caller, or for admins the one that the form names."""
    text = question.texts["user"]
    if not text:
        question.variables["user"], question.user_name = request.user, request.viewer.name
    elif (await request.rights()).admin and (user := await _one_user(request, question, "user", text)):
        question.variables["user"], question.user_name = user.id, user.label


async def read_item(request: PageRequest, question: Question) -> None:
    """Find the item: a user by a name or an address, and other rows by their keys."""
    text, collection = question.texts["item"], _collection(request, question.texts["collection"])
    if not text or collection is None or question.texts["action"] == "create":
        return
    if collection.is_same(USERS):
        if user := await _one_user(request, question, "item", text):
            question.variables["item"] = user.id
        return
    try:
        parse_key(collection, text)
    except Forbidden:
        question.errors["item"] = request.translate("“{text}” is not an id. Enter the id of a row.").format(text=text)


async def _one_user(request: PageRequest, question: Question, name: str, text: str) -> MatchingUser | None:
    """Return the only user that a text names; note that there is none, or that there are several."""
    users = await find_users(request, text)
    if len(users) == 1:
        return users[0]
    if users:
        question.matches[name] = users
    else:
        message = request.translate("No user matches “{text}”. Enter an email address or an id.")
        question.errors[name] = message.format(text=text)
    return None


async def _explained_item(request: PageRequest, question: Question, answer: Mapping[str, Any]) -> ExplainedItem | None:
    """Return the item of an answer; note at its field that it does not exist."""
    permissions = (permission for policy in answer["policies"] for permission in policy["permissions"])
    conditions = [condition["text"] for permission in permissions for condition in permission["conditions"]]
    collection = request.services.registry[answer["collection"]]
    item = await read_explained_item(request, collection, answer["item"], conditions)
    if item is None:
        question.errors = _no_such_row(request)
    return item


def _words(request: PageRequest, answer: Mapping[str, Any]) -> dict[str, str]:
    """Return the conditions of an answer in words, by their texts."""
    collection, words = request.services.registry[answer["collection"]], rule_words(request.translate)
    permissions = [permission for policy in answer["policies"] for permission in policy["permissions"]]
    rules = [permission["rule"] for permission in permissions if permission["conditions"]]
    conditions = (leaf for rule in rules for leaf in leaves(parse_filter(collection, rule, stored=True)))
    return {filter_text(leaf): words.text(collection, leaf) for leaf in conditions}


def _no_such_row(request: PageRequest) -> FormErrors:
    return {"item": request.translate("This collection has no row with this id that you can see.")}


def _collection(request: PageRequest, name: str) -> Collection | None:
    registry = request.services.registry
    return registry.get(name) or registry.get(f"{PREFIX}{name}")


ROUTES: tuple[Route, ...] = (Route("GET", "/access", show_access_check),)
