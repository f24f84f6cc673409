"""The GraphQL explorer: an editor that runs documents against the server with the caller's session."""

from collections.abc import Callable, Mapping

from app.http.response import Response
from app.studio.page_request import PageRequest
from app.studio.rights import Rights
from app.studio.routing import Route

SAMPLE_FIELDS = ("email", "status", "last_access")


async def show_explorer(request: PageRequest) -> Response:
    """Return the page of the explorer."""
    return await request.page(
        "explorer.html",
        introspection=request.services.settings.graphql_introspection,
        sample=_sample_document(await request.rights()),
        messages=_script_messages(request.translate),
        has_graphiql=request.site.has_graphiql,
    )


def _sample_document(rights: Rights) -> str:
    """Return the document that the editor shows first: one that the caller may run."""
    if not rights.may("read", "users"):
        return "query Ping {\n  server_ping\n}\n"
    fields = "\n    ".join(["id", *rights.fields("read", "users", SAMPLE_FIELDS)])
    return f"""query Users($search: String) {{
  users(search: $search, sort: ["id"], limit: 10) {{
    {fields}
  }}
}}
"""


def _script_messages(_: Callable[[str], str]) -> Mapping[str, str]:
    """Return the texts of the explorer's scripts; they replace the placeholders."""
    return {
        "running": _("Running…"),
        "answer": _("HTTP status {status}, {milliseconds} ms"),
        "answer-with-errors": _("HTTP status {status}, {milliseconds} ms, errors: {count}"),
        "unreachable": _("The server cannot be reached. Check the connection, then run the document again."),
        "place": _("line {line}, column {column}"),
        "invalid-json": _("The variables are not valid JSON: line {line}, column {column}."),
        "not-an-object": _("The variables must be a JSON object, such as {}."),
        "suggestions": _("Suggestions: {count}"),
        "no-suggestions": _("No suggestions"),
        "no-schema": _("The schema cannot be loaded, so there is no completion and no documentation. {reason}"),
        "docs-query": _("Queries"),
        "docs-mutation": _("Mutations"),
        "docs-subscription": _("Subscriptions"),
        "back": _("Back"),
        "insert": _("Insert {name}"),
        "in-type": _("in {type}"),
        "arguments": _("Arguments: {count}"),
        "nothing-found": _("Nothing has this name."),
        "copied": _("Copied. Set ROLLCALL_TOKEN to a token before you run the command."),
        "not-copied": _("The browser does not allow copying."),
        "empty-document": _("Empty document"),
    }


ROUTES: tuple[Route, ...] = (Route("GET", "/explorer", show_explorer),)
