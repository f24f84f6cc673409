"""The paths of the flows: signing in, invitations, registrations, what is one's own, tools, and the server itself."""

from collections.abc import Iterator

from app.flows.server_info import PROJECT_FIELDS
from app.flows.tools import MAX_LENGTH
from app.openapi import request_bodies
from app.openapi.collection_paths import told_of, written
from app.openapi.endpoint_spec import DONE, EndpointSpec, ResponseSpec, envelope_response, parameter
from app.openapi.field_schemas import ANY_OBJECT, KINDS, Schema, a_list, an_object, key_of, name_of, nullable, reference
from app.openapi.row_schemas import RowSchemas
from app.query.collection import FILES, ROLES, SETTINGS, USERS, target

TEXT, FLAG, MOMENT = KINDS["string"], KINDS["boolean"], KINDS["timestamp"]
TOKENS = envelope_response(
    an_object({"access_token": TEXT, "refresh_token": TEXT, "expires": KINDS["bigInteger"]}, "expires")
)
SESSION = an_object(
    {
        "id": TEXT,
        "ip": nullable(TEXT),
        "user_agent": nullable(TEXT),
        "origin": nullable(TEXT),
        "expires": MOMENT,
        "current": FLAG,
    }
)
SESSIONS = envelope_response(a_list(SESSION))
ACCEPTED = {200: ResponseSpec("It is done; the body is empty.")}
ACTION = an_object({"access": FLAG}, "access")
MAY = envelope_response(an_object({"update": ACTION, "delete": ACTION, "share": ACTION}))
GRAPHQL = an_object({"query": TEXT, "variables": nullable(ANY_OBJECT), "operationName": nullable(TEXT)}, "query")
ANSWERED = {
    200: ResponseSpec("What was asked for.", an_object({"data": nullable(ANY_OBJECT), "errors": a_list(ANY_OBJECT)}))
}
WRONG_METHOD, NO_RANGE = 405, 416


def authentication(*, by_password: bool) -> Iterator[EndpointSpec]:
    """Signing in, staying signed in, signing out, and what helps those who forgot their password."""
    ways = an_object({"data": a_list(ANY_OBJECT), "disableDefault": FLAG}, "data", "disableDefault")
    yield EndpointSpec("GET", "/auth", "The ways to sign in", {200: ResponseSpec("The ways there are.", ways)})
    if by_password:
        yield EndpointSpec("POST", "/auth/login", "Signs in", TOKENS, request_bodies.CREDENTIALS.schema)
    session = request_bodies.SESSION.schema
    yield EndpointSpec("POST", "/auth/refresh", "Tokens for older ones", TOKENS, session, optional=True)
    yield EndpointSpec("POST", "/auth/logout", "Signs out", DONE, session, optional=True)
    yield EndpointSpec("POST", "/auth/password/request", "Has a link mailed", DONE, request_bodies.FORGOTTEN.schema)
    yield EndpointSpec(
        "POST", "/auth/password/reset", "Sets another password", DONE, request_bodies.NEW_PASSWORD.schema
    )


def accounts(rows: RowSchemas) -> Iterator[EndpointSpec]:
    """How people come in."""
    if USERS in rows.visibility.writable_fields["create"]:
        yield EndpointSpec("POST", "/users/invite", "Invites somebody", DONE, request_bodies.INVITATION.schema)
    if USERS in rows.visibility.schema.delete:
        yield EndpointSpec("DELETE", "/users/invite", "Ends invitations", DONE, request_bodies.REVOKED.schema)
    yield EndpointSpec("POST", "/users/invite/accept", "Accepts an invitation", DONE, request_bodies.ACCEPTED.schema)
    yield EndpointSpec("POST", "/users/register", "Registers", DONE, request_bodies.REGISTRATION.schema)
    found = {302: ResponseSpec("The address is proved; this way on.", TEXT, "text/plain")}
    token = [parameter("token", request_bodies.PROVED.required["token"].schema, required=True)]
    yield EndpointSpec("GET", "/users/register/verify-email", "Proves an address", found, parameters=token)
    way_on = {200: ResponseSpec("A line of text.", TEXT, "text/plain")}
    yield EndpointSpec("GET", "/admin/users/{id}", "Where that leads on to", way_on, keys={"id": TEXT})


def own(rows: RowSchemas) -> Iterator[EndpointSpec]:
    """What is one's own; admins may look after what is others' too."""
    if not rows.visibility.schema.authenticated:
        return
    telling = told_of(rows, USERS)
    yield EndpointSpec("GET", "/users/me", "Oneself", envelope_response(rows.row(USERS)), parameters=telling)
    if USERS in rows.visibility.writable_fields["update"]:
        change = reference(name_of(USERS, "update"))
        yield EndpointSpec(
            "PATCH", "/users/me", "Changes oneself", written(rows, USERS, rows.row(USERS)), change, telling
        )
    page = an_object({"last_page": nullable({**TEXT, "maxLength": 255})}, "last_page")
    yield EndpointSpec("PATCH", "/users/me/track/page", "Which page one looks at", ACCEPTED, page)
    yield from _second_factor()
    yield from _sessions("me")
    if rows.visibility.schema.admin:
        user = {"id": key_of(USERS)}
        yield from _sessions("{id}", user)
        told_off = "Takes a second factor away"
        yield EndpointSpec(
            "POST", "/users/{id}/tfa/disable", told_off, DONE, request_bodies.EMPTY.schema, keys=user, optional=True
        )


def _second_factor() -> Iterator[EndpointSpec]:
    secret = envelope_response(an_object({"secret": TEXT, "otpauth_url": TEXT}, "secret", "otpauth_url"))
    yield EndpointSpec(
        "POST", "/users/me/tfa/generate", "A secret for a second factor", secret, request_bodies.PROOF.schema
    )
    yield EndpointSpec("POST", "/users/me/tfa/enable", "Sets it up", DONE, request_bodies.NEW_FACTOR.schema)
    yield EndpointSpec("POST", "/users/me/tfa/disable", "Takes it away", DONE, request_bodies.CODE.schema)
    codes = envelope_response(a_list(TEXT))
    yield EndpointSpec("POST", "/users/me/tfa/recovery-codes", "New recovery codes", codes, request_bodies.CODE.schema)


def _sessions(whose: str, user: dict[str, Schema] | None = None) -> Iterator[EndpointSpec]:
    path, keys = f"/users/{whose}/sessions", user or {}
    yield EndpointSpec("GET", path, "The sessions that go on", SESSIONS, keys=keys)
    yield EndpointSpec("DELETE", path, "Ends them, but for the one that asks", DONE, keys=keys)
    yield EndpointSpec("DELETE", f"{path}/{{session}}", "Ends a session", DONE, keys={**keys, "session": TEXT})


def rights(rows: RowSchemas) -> Iterator[EndpointSpec]:
    """What one may do."""
    if rows.visibility.schema.authenticated:
        yield EndpointSpec(
            "GET",
            "/roles/me",
            "One's roles",
            envelope_response(a_list(rows.row(ROLES))),
            parameters=told_of(rows, ROLES),
        )
    flags = an_object({"app_access": FLAG, "admin_access": FLAG, "enforce_tfa": FLAG}, "app_access")
    yield EndpointSpec("GET", "/policies/me/globals", "What one's policies add up to", envelope_response(flags))
    yield EndpointSpec("GET", "/permissions/me", "What one may do, by collection", envelope_response(ANY_OBJECT))
    where = {"collection": TEXT}
    yield EndpointSpec("GET", "/permissions/me/{collection}", "What one may do to its only row", MAY, keys=where)
    which = {**where, "id": TEXT}
    yield EndpointSpec("GET", "/permissions/me/{collection}/{id}", "What one may do to a row", MAY, keys=which)


def assets(rows: RowSchemas) -> Iterator[EndpointSpec]:
    """The contents of files, for those who may read their rows."""
    if not rows.visibility.readable(FILES):
        return
    anything = {"type": "string", "format": "binary"}
    content = {
        200: ResponseSpec("All of it.", anything, "*/*"),
        206: ResponseSpec("The part asked for.", anything, "*/*"),
    }
    known = {304: ResponseSpec("It is what one has already.")}
    saved = [parameter("download", FLAG, "To be saved, and not shown.")]
    keys: dict[str, Schema] = {"id": key_of(FILES)}
    named = keys | {"filename": TEXT}
    for path, steps in (("/assets/{id}", keys), ("/assets/{id}/{filename}", named)):
        about = content | known
        yield EndpointSpec("GET", path, "The content of a file", about, parameters=saved, keys=steps, errors=[NO_RANGE])


def tools(rows: RowSchemas) -> Iterator[EndpointSpec]:
    """Small tools for clients."""
    length = parameter("length", {"type": "integer", "minimum": 1, "maximum": MAX_LENGTH}, "Characters of the text.")
    yield EndpointSpec(
        "GET", "/utils/random/string", "A text nobody can guess", envelope_response(TEXT), parameters=[length]
    )
    yield EndpointSpec(
        "POST", "/utils/hash/generate", "The hash of a text", envelope_response(TEXT), request_bodies.TEXT.schema
    )
    tried = request_bodies.TEXT_AND_HASH.schema
    yield EndpointSpec("POST", "/utils/hash/verify", "Whether a hash is of a text", envelope_response(FLAG), tried)
    if rows.visibility.schema.admin:
        forgotten = "Forgets what is remembered"
        yield EndpointSpec(
            "POST", "/utils/cache/clear", forgotten, ACCEPTED, request_bodies.EMPTY.schema, optional=True
        )


def server(rows: RowSchemas) -> Iterator[EndpointSpec]:
    """The server itself, and what it says of its paths and its schema."""
    yield EndpointSpec("GET", "/server/ping", "Whether it answers", {200: ResponseSpec("It does.", TEXT, "text/html")})
    project = an_object({name: _setting(name) for name in PROJECT_FIELDS})
    info = an_object({"project": project, **(_limits() if rows.visibility.schema.authenticated else {})}, "project")
    yield EndpointSpec("GET", "/server/info", "What it is", envelope_response(info))
    status = an_object({"status": {"type": "string", "enum": ["ok", "warn", "error"]}}, "status")
    health = {code: ResponseSpec("How it is.", status, "application/health+json") for code in (200, 503)}
    yield EndpointSpec("GET", "/server/health", "How it is", health)
    sdl = {200: ResponseSpec("The schema as SDL.", {**TEXT, "format": "binary"}, "application/octet-stream")}
    yield EndpointSpec("GET", "/server/specs/graphql/system", "The schema of GraphQL", sdl)
    yield EndpointSpec("GET", "/server/specs/oas", "This document", {200: ResponseSpec("OpenAPI.", ANY_OBJECT)})


def _setting(name: str) -> Schema:
    """Where there are no settings yet, hardly anything is told of them."""
    field = SETTINGS.fields[name]
    return nullable(key_of(target(field)) if field.relation else KINDS[field.kind])


def _limits() -> dict[str, Schema]:
    count = KINDS["integer"]
    rate = {"oneOf": [an_object({"points": count, "duration": count}), FLAG]}
    rates = dict.fromkeys(("rateLimit", "rateLimitGlobal"), rate)
    return {**rates, "websocket": FLAG, "queryLimit": an_object({"default": count, "max": count}), "version": TEXT}


def graphql() -> Iterator[EndpointSpec]:
    """The same in GraphQL."""
    path, errors = "/graphql/system", [WRONG_METHOD]
    given = [parameter("query", TEXT, required=True), parameter("variables", TEXT), parameter("operationName", TEXT)]
    yield EndpointSpec("GET", path, "Asks in GraphQL", ANSWERED, parameters=given, errors=errors)
    yield EndpointSpec("POST", path, "Asks or changes in GraphQL", ANSWERED, GRAPHQL, errors=errors)
