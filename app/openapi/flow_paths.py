"""The paths of the flows: authentication, invitations, registration, the current user, files, tools, and the server."""

from collections.abc import Iterator

from app.flows.server_info import PROJECT_FIELDS
from app.flows.tools import MAX_LENGTH
from app.openapi import request_bodies
from app.openapi.collection_paths import output_parameters, write_responses
from app.openapi.endpoint_spec import NO_CONTENT, EndpointSpec, ResponseSpec, envelope_response, parameter
from app.openapi.field_schemas import (
    ANY_OBJECT,
    KIND_SCHEMAS,
    Schema,
    key_schema,
    list_of,
    nullable,
    object_of,
    reference,
    schema_name,
)
from app.openapi.row_schemas import RowSchemas
from app.query.collection import BUILT_IN, FILES, ROLES, SETTINGS, USERS

EXPLANATION = object_of(
    {
        "allowed": KIND_SCHEMAS["boolean"],
        **dict.fromkeys(("user", "status", "item", "field", "ip"), nullable(KIND_SCHEMAS["string"])),
        **dict.fromkeys(("collection", "action"), KIND_SCHEMAS["string"]),
        **dict.fromkeys(("reasons", "enough"), list_of(KIND_SCHEMAS["string"])),
        "policies": list_of(ANY_OBJECT),
    },
    "allowed",
    "reasons",
    "enough",
    "policies",
)
HOLDERS = object_of(
    {
        "public": KIND_SCHEMAS["boolean"],
        "total": KIND_SCHEMAS["integer"],
        **dict.fromkeys(("item", "field", "ip"), nullable(KIND_SCHEMAS["string"])),
        **dict.fromkeys(("collection", "action"), KIND_SCHEMAS["string"]),
        **dict.fromkeys(("users", "roles"), list_of(ANY_OBJECT)),
    },
    "public",
    "total",
    "users",
    "roles",
)
SIMULATION = object_of(
    {
        **dict.fromkeys(
            (
                "changes",
                "effects_total",
                "roles_total",
                "users_total",
                "locked_out_total",
                "admins_before",
                "admins_after",
            ),
            KIND_SCHEMAS["integer"],
        ),
        "ip": nullable(KIND_SCHEMAS["string"]),
        "effects": list_of(ANY_OBJECT),
        "last_admin": nullable(ANY_OBJECT),
        "failed_tests": list_of(KIND_SCHEMAS["string"]),
    },
    "changes",
    "effects",
)
MILLISECONDS: Schema = {"type": "integer", "format": "int64"}
TEXT, BOOLEAN, TIMESTAMP = KIND_SCHEMAS["string"], KIND_SCHEMAS["boolean"], KIND_SCHEMAS["timestamp"]
TOKENS = envelope_response(object_of({"access_token": TEXT, "refresh_token": TEXT, "expires": MILLISECONDS}, "expires"))
SESSION = object_of(
    {
        "id": TEXT,
        "ip": nullable(TEXT),
        "user_agent": nullable(TEXT),
        "origin": nullable(TEXT),
        "expires": TIMESTAMP,
        "current": BOOLEAN,
    }
)
SESSIONS = envelope_response(list_of(SESSION))
API_TOKEN_FIELDS: dict[str, Schema] = {
    "id": TEXT,
    "name": TEXT,
    "created": TIMESTAMP,
    "expires": nullable(TIMESTAMP),
    "read_only": BOOLEAN,
    "policies": nullable(list_of(TEXT)),
    "ip_access": nullable(list_of(TEXT)),
    "last_used": nullable(TIMESTAMP),
    "last_used_ip": nullable(TEXT),
}
API_TOKEN = object_of(API_TOKEN_FIELDS, *API_TOKEN_FIELDS)
CREATED_API_TOKEN = object_of({**API_TOKEN_FIELDS, "token": TEXT}, *API_TOKEN_FIELDS, "token")
PASSKEY_FIELDS: dict[str, Schema] = {
    "id": TEXT,
    "name": TEXT,
    "transports": list_of(TEXT),
    "synced": BOOLEAN,
    "backed_up": BOOLEAN,
    "created": TIMESTAMP,
    "last_used": nullable(TIMESTAMP),
    "counter_rejected": nullable(TIMESTAMP),
}
PASSKEY = object_of(PASSKEY_FIELDS, *PASSKEY_FIELDS)
PASSKEY_OPTIONS = envelope_response(
    object_of({"challenge_token": TEXT, "public_key": ANY_OBJECT}, "challenge_token", "public_key")
)
EMPTY_BODY = {200: ResponseSpec("Done; the body is empty.")}
ACTION = object_of({"access": BOOLEAN}, "access")
ITEM_PERMISSIONS = envelope_response(object_of({"update": ACTION, "delete": ACTION, "share": ACTION}))
GRAPHQL_REQUEST = object_of(
    {"query": TEXT, "variables": nullable(ANY_OBJECT), "operationName": nullable(TEXT)}, "query"
)
GRAPHQL_RESULT = object_of({"data": nullable(ANY_OBJECT), "errors": list_of(ANY_OBJECT)})
GRAPHQL_RESPONSE = {200: ResponseSpec("The result, with the errors of its fields.", GRAPHQL_RESULT)}
METHOD_NOT_ALLOWED, RANGE_NOT_SATISFIABLE = 405, 416


def authentication(*, password_login: bool) -> Iterator[EndpointSpec]:
    """Yield login, refresh, logout and password reset."""
    providers = object_of({"data": list_of(ANY_OBJECT), "disableDefault": BOOLEAN}, "data", "disableDefault")
    listed = {200: ResponseSpec("The authentication providers.", providers)}
    yield EndpointSpec("GET", "/auth", "List authentication providers", listed)
    if password_login:
        yield EndpointSpec("POST", "/auth/login", "Log in", TOKENS, request_bodies.CREDENTIALS.schema)
    yield from _provider_login()
    options, login = request_bodies.PASSKEY_OPTIONS.schema, request_bodies.PASSKEY_LOGIN.schema
    path = "/auth/passkey"
    yield EndpointSpec(
        "POST", f"{path}/options", "Get options to prove a passkey", PASSKEY_OPTIONS, options, body_optional=True
    )
    yield EndpointSpec("POST", f"{path}/login", "Log in with a passkey", TOKENS, login)
    session = request_bodies.SESSION_TOKEN.schema
    yield EndpointSpec("POST", "/auth/refresh", "Get new tokens", TOKENS, session, body_optional=True)
    yield EndpointSpec("POST", "/auth/logout", "Log out", NO_CONTENT, session, body_optional=True)
    request, reset = request_bodies.PASSWORD_REQUEST.schema, request_bodies.PASSWORD_RESET.schema
    yield EndpointSpec("POST", "/auth/password/request", "Request a link to reset a password", NO_CONTENT, request)
    yield EndpointSpec("POST", "/auth/password/reset", "Reset a password", NO_CONTENT, reset)


def _provider_login() -> Iterator[EndpointSpec]:
    """Yield the way to a provider and back; the path of the way back is that of the provider's response."""
    path, name = "/auth/login/{provider}", {"provider": TEXT}
    redirect = {302: ResponseSpec("Redirects to the provider.", TEXT, "text/plain")}
    target = parameter("redirect", TEXT, "Where the sign-in leads to.")
    code = parameter("otp", TEXT, "The one-time password of an account with two-factor authentication.")
    yield EndpointSpec(
        "GET", path, "Sign in with a provider", redirect, parameters=[target, code], path_parameters=name
    )
    credentials = request_bodies.LDAP_CREDENTIALS.schema
    yield EndpointSpec("POST", path, "Sign in with an LDAP directory", TOKENS, credentials, path_parameters=name)
    response = [parameter(key, TEXT) for key in ("code", "state", "iss", "error")]
    completed = {**TOKENS, 302: ResponseSpec("Redirects to where the sign-in leads to.", TEXT, "text/plain")}
    yield EndpointSpec(
        "GET",
        f"{path}/callback",
        "Receive the response of a provider",
        completed,
        parameters=response,
        path_parameters=name,
    )
    yield EndpointSpec(
        "POST",
        f"{path}/link",
        "Link the identity to an account by its password",
        TOKENS,
        request_bodies.LINK_CREDENTIALS.schema,
        path_parameters=name,
    )


def accounts(rows: RowSchemas) -> Iterator[EndpointSpec]:
    """Yield invitations and registration."""
    if rows.visibility.may_write("create", USERS):
        yield EndpointSpec("POST", "/users/invite", "Invite users", NO_CONTENT, request_bodies.INVITATION.schema)
    if rows.visibility.may_delete(USERS):
        revocation = request_bodies.INVITATION_REVOCATION.schema
        yield EndpointSpec(
            "DELETE", "/users/invite", "Revoke the invitations of an email address", NO_CONTENT, revocation
        )
    acceptance, registration = request_bodies.INVITATION_ACCEPTANCE.schema, request_bodies.REGISTRATION.schema
    yield EndpointSpec("POST", "/users/invite/accept", "Accept an invitation", NO_CONTENT, acceptance)
    yield EndpointSpec("POST", "/users/register", "Register", NO_CONTENT, registration)
    verified = {
        302: ResponseSpec("The email address is verified; redirects to the page of the user.", TEXT, "text/plain")
    }
    token = [parameter("token", request_bodies.EMAIL_VERIFICATION.required["token"].schema, required=True)]
    yield EndpointSpec("GET", "/users/register/verify-email", "Verify an email address", verified, parameters=token)
    page = {200: ResponseSpec("A line of text.", TEXT, "text/plain")}
    yield EndpointSpec(
        "GET",
        "/admin/users/{id}",
        "Get the page that the verification of an email address redirects to",
        page,
        path_parameters={"id": TEXT},
    )


def current_user(rows: RowSchemas) -> Iterator[EndpointSpec]:
    """Yield the current user's row, two-factor authentication and sessions; for admins, also those of others."""
    if not rows.visibility.schema.authenticated:
        return
    output = output_parameters(rows, USERS)
    row = rows.row(USERS)
    yield EndpointSpec("GET", "/users/me", "Get the current user", envelope_response(row), parameters=output)
    if rows.visibility.may_write("update", USERS):
        values = reference(schema_name(USERS, "update"))
        responses = write_responses(rows, USERS, row)
        yield EndpointSpec("PATCH", "/users/me", "Update the current user", responses, values, output)
    page = object_of({"last_page": nullable({**TEXT, "maxLength": 255})}, "last_page")
    yield EndpointSpec("PATCH", "/users/me/track/page", "Save the last visited page", NO_CONTENT, page)
    yield from _two_factor()
    yield from _sessions("me")
    yield from _api_tokens("me")
    yield from _passkeys()
    if rows.visibility.schema.admin:
        by_id = {"id": key_schema(USERS)}
        yield from _sessions("{id}", by_id)
        yield from _api_tokens("{id}", by_id)
        yield from _passkeys_of_user(by_id)
        yield EndpointSpec(
            "POST",
            "/users/{id}/tfa/disable",
            "Disable two-factor authentication of a user",
            NO_CONTENT,
            request_bodies.EMPTY.schema,
            path_parameters=by_id,
            body_optional=True,
        )


def _two_factor() -> Iterator[EndpointSpec]:
    path, code = "/users/me/tfa", request_bodies.OTP.schema
    secret = envelope_response(object_of({"secret": TEXT, "otpauth_url": TEXT}, "secret", "otpauth_url"))
    codes = envelope_response(list_of(TEXT))
    proof, activation = request_bodies.PASSWORD_PROOF.schema, request_bodies.TFA_ACTIVATION.schema
    yield EndpointSpec("POST", f"{path}/generate", "Generate a secret for two-factor authentication", secret, proof)
    yield EndpointSpec("POST", f"{path}/enable", "Enable two-factor authentication", NO_CONTENT, activation)
    yield EndpointSpec("POST", f"{path}/disable", "Disable two-factor authentication", NO_CONTENT, code)
    yield EndpointSpec("POST", f"{path}/recovery-codes", "Generate new recovery codes", codes, code)


def _sessions(user_segment: str, path_parameters: dict[str, Schema] | None = None) -> Iterator[EndpointSpec]:
    path, of_user = f"/users/{user_segment}/sessions", path_parameters or {}
    of_session = {**of_user, "session": TEXT}
    yield EndpointSpec("GET", path, "List active sessions", SESSIONS, path_parameters=of_user)
    yield EndpointSpec("DELETE", path, "End all sessions except the current one", NO_CONTENT, path_parameters=of_user)
    yield EndpointSpec("DELETE", f"{path}/{{session}}", "End a session", NO_CONTENT, path_parameters=of_session)


def _api_tokens(user_segment: str, path_parameters: dict[str, Schema] | None = None) -> Iterator[EndpointSpec]:
    path, of_user, body = f"/users/{user_segment}/tokens", path_parameters or {}, request_bodies.API_TOKEN.schema
    listed, created = envelope_response(list_of(API_TOKEN)), envelope_response(CREATED_API_TOKEN)
    of_token = {**of_user, "token": TEXT}
    yield EndpointSpec("GET", path, "List API tokens", listed, path_parameters=of_user)
    yield EndpointSpec("POST", path, "Create an API token", created, body, path_parameters=of_user)
    yield EndpointSpec("DELETE", f"{path}/{{token}}", "Revoke an API token", NO_CONTENT, path_parameters=of_token)


def _passkeys() -> Iterator[EndpointSpec]:
    path, by_id, proof = "/users/me/passkeys", {"passkey": TEXT}, request_bodies.PROOF.schema
    passkey, name = envelope_response(PASSKEY), request_bodies.PASSKEY_NAME.schema
    registration = request_bodies.PASSKEY_REGISTRATION.schema
    yield EndpointSpec("GET", path, "List passkeys", envelope_response(list_of(PASSKEY)))
    yield EndpointSpec("POST", f"{path}/options", "Get options to register a passkey", PASSKEY_OPTIONS, proof)
    yield EndpointSpec("POST", path, "Register a passkey", passkey, registration)
    path = f"{path}/{{passkey}}"
    yield EndpointSpec("PATCH", path, "Rename a passkey", passkey, name, path_parameters=by_id)
    yield EndpointSpec("DELETE", path, "Revoke a passkey", NO_CONTENT, proof, path_parameters=by_id)


def _passkeys_of_user(of_user: dict[str, Schema]) -> Iterator[EndpointSpec]:
    path, by_id, empty = "/users/{id}/passkeys", {**of_user, "passkey": TEXT}, request_bodies.EMPTY.schema
    listed = envelope_response(list_of(PASSKEY))
    yield EndpointSpec("GET", path, "List the passkeys of a user", listed, path_parameters=of_user)
    path = f"{path}/{{passkey}}"
    yield EndpointSpec(
        "DELETE", path, "Revoke a passkey of a user", NO_CONTENT, empty, path_parameters=by_id, body_optional=True
    )


def permissions(rows: RowSchemas) -> Iterator[EndpointSpec]:
    """Yield what the caller may do; anonymous callers get nothing but flags."""
    flags = object_of({"app_access": BOOLEAN, "admin_access": BOOLEAN, "enforce_tfa": BOOLEAN}, "app_access")
    globals_, summary = envelope_response(flags), envelope_response(ANY_OBJECT)
    yield EndpointSpec("GET", "/policies/me/globals", "Get the flags that your policies set", globals_)
    if not rows.visibility.schema.authenticated:
        return
    roles, output = envelope_response(list_of(rows.row(ROLES))), output_parameters(rows, ROLES)
    yield EndpointSpec("GET", "/roles/me", "List the roles of the current user", roles, parameters=output)
    path = "/permissions/me"
    yield EndpointSpec("GET", path, "Get your permissions by collection and action", summary)
    by_collection = {"collection": TEXT}
    yield EndpointSpec(
        "GET",
        f"{path}/{{collection}}",
        "Get your permissions for the only row of a collection",
        ITEM_PERMISSIONS,
        path_parameters=by_collection,
    )
    yield EndpointSpec(
        "GET",
        f"{path}/{{collection}}/{{id}}",
        "Get your permissions for a row",
        ITEM_PERMISSIONS,
        path_parameters={**by_collection, "id": TEXT},
    )


def assets(rows: RowSchemas) -> Iterator[EndpointSpec]:
    """Yield the contents of files, if the caller may read files."""
    if not rows.visibility.readable(FILES):
        return
    content = {"type": "string", "format": "binary"}
    responses = {
        200: ResponseSpec("The whole file.", content, "*/*"),
        206: ResponseSpec("The requested range of the file.", content, "*/*"),
        304: ResponseSpec("The file has not changed since the client received it."),
    }
    download = [parameter("download", BOOLEAN, "Whether browsers save the file rather than display it.")]
    by_id: dict[str, Schema] = {"id": key_schema(FILES)}
    by_name = by_id | {"filename": TEXT}
    for path, path_parameters in (("/assets/{id}", by_id), ("/assets/{id}/{filename}", by_name)):
        yield EndpointSpec(
            "GET",
            path,
            "Get the content of a file",
            responses,
            parameters=download,
            path_parameters=path_parameters,
            extra_errors=[RANGE_NOT_SATISFIABLE],
        )


def tools(rows: RowSchemas) -> Iterator[EndpointSpec]:
    """Yield the utilities."""
    text, boolean = envelope_response(TEXT), envelope_response(BOOLEAN)
    length = parameter("length", {"type": "integer", "minimum": 1, "maximum": MAX_LENGTH}, "Number of characters.")
    yield EndpointSpec("GET", "/utils/random/string", "Generate a random string", text, parameters=[length])
    yield EndpointSpec("POST", "/utils/hash/generate", "Hash a string", text, request_bodies.TEXT.schema)
    pair = request_bodies.TEXT_AND_HASH.schema
    yield EndpointSpec("POST", "/utils/hash/verify", "Verify that a hash is of a string", boolean, pair)
    if rows.visibility.schema.admin:
        empty = request_bodies.EMPTY.schema
        yield EndpointSpec("POST", "/utils/cache/clear", "Clear the caches", EMPTY_BODY, empty, body_optional=True)


def access(rows: RowSchemas) -> Iterator[EndpointSpec]:
    """Yield the explanation of access, for callers who are signed in; for admins also who has it, and simulations."""
    if rows.visibility.schema.authenticated:
        question = request_bodies.ACCESS_QUESTION.schema
        yield EndpointSpec("POST", "/access/explain", "Explain access", envelope_response(EXPLANATION), question)
    if rows.visibility.schema.admin:
        holders = request_bodies.HOLDERS_QUESTION.schema
        yield EndpointSpec("POST", "/access/who-can", "Find who has access", envelope_response(HOLDERS), holders)
        changes = request_bodies.SIMULATED_CHANGES.schema
        yield EndpointSpec("POST", "/access/simulate", "Simulate changes", envelope_response(SIMULATION), changes)


def server(rows: RowSchemas) -> Iterator[EndpointSpec]:
    """Yield the server's status, its settings, and the descriptions of its API."""
    pong = {200: ResponseSpec("The server is running.", TEXT, "text/html")}
    yield EndpointSpec("GET", "/server/ping", "Check that the server is running", pong)
    for path, text in (("live", "answers"), ("ready", "should get requests")):
        state = object_of({"status": {"type": "string"}}, "status")
        codes = (200,) if path == "live" else (200, 503)
        probe = {code: ResponseSpec("The state of the server.", state) for code in codes}
        yield EndpointSpec("GET", f"/server/{path}", f"Check whether the server {text}", probe)
    robots = {200: ResponseSpec("The rule that excludes everything.", TEXT, "text/plain")}
    yield EndpointSpec("GET", "/robots.txt", "Get the rule for search engines", robots)
    project = object_of({name: _setting(name) for name in PROJECT_FIELDS})
    limits = _server_limits() if rows.visibility.schema.authenticated else {}
    info = envelope_response(
        object_of({"project": project, "setupCompleted": BOOLEAN, **limits}, "project", "setupCompleted")
    )
    yield EndpointSpec("GET", "/server/info", "Get the public settings and the limits", info)
    status = object_of({"status": {"type": "string", "enum": ["ok", "warn", "error"]}}, "status")
    health = {code: ResponseSpec("The health of the server.", status, "application/health+json") for code in (200, 503)}
    yield EndpointSpec("GET", "/server/health", "Check the health of the server", health)
    sdl = {200: ResponseSpec("The schema as SDL.", {**TEXT, "format": "binary"}, "application/octet-stream")}
    for path in ("/server/specs/graphql", "/server/specs/graphql/system"):
        yield EndpointSpec("GET", path, "Get the GraphQL schema", sdl)
    document = {200: ResponseSpec("The OpenAPI document.", ANY_OBJECT)}
    yield EndpointSpec("GET", "/server/specs/oas", "Get this document", document)


def _setting(name: str) -> Schema:
    """Return the schema of a setting. It is nullable, because most have no value until settings are saved."""
    field = SETTINGS.fields[name]
    return nullable(key_schema(BUILT_IN[field.relation.target]) if field.relation else KIND_SCHEMAS[field.kind])


def _server_limits() -> dict[str, Schema]:
    count = KIND_SCHEMAS["integer"]
    rate = {"oneOf": [object_of({"points": count, "duration": count}), BOOLEAN]}
    rates = dict.fromkeys(("rateLimit", "rateLimitGlobal"), rate)
    query_limit = object_of({"default": count, "max": count})
    modes = {"type": "string", "enum": ["public", "handshake", "strict"]}
    service = {"oneOf": [object_of({"authentication": modes, "path": TEXT}), BOOLEAN]}
    websocket = object_of({"rest": service, "graphql": service, "heartbeat": {"oneOf": [count, BOOLEAN]}})
    return {**rates, "websocket": {"oneOf": [websocket, BOOLEAN]}, "queryLimit": query_limit, "version": TEXT}


def graphql() -> Iterator[EndpointSpec]:
    """Yield the GraphQL API."""
    path, errors = "/graphql/system", [METHOD_NOT_ALLOWED]
    parameters = [
        parameter("query", TEXT, required=True),
        parameter("variables", TEXT),
        parameter("operationName", TEXT),
    ]
    query, operation = "Execute a GraphQL query", "Execute a GraphQL query or mutation"
    yield EndpointSpec("GET", path, query, GRAPHQL_RESPONSE, parameters=parameters, extra_errors=errors)
    yield EndpointSpec("POST", path, operation, GRAPHQL_RESPONSE, GRAPHQL_REQUEST, extra_errors=errors)
