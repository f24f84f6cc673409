"""The account flows over REST and GraphQL, behind one function that calls either."""

import json
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from tests.base_data import cheap_hash
from tests.http.clients import send

ENTRY_POINTS = ("rest", "graphql")
GRAPHQL_PATH = "/graphql/system"
PASSWORD = "correct, but only here"
TOKEN_FIELDS = "{ access_token refresh_token expires }"
TFA_SECRET = "JBSWY3DPEHPK3PXP"

PASSWORD_HASH = cheap_hash(PASSWORD)


class Flow(NamedTuple):
    """The path and mutation of a flow, its optional arguments with their types, and the selection of its result."""

    path: str
    field: str
    optional: Mapping[str, str] = {}
    selection: str = ""


FLOWS = {
    "login": Flow("/auth/login", "auth_login", {"otp": "String", "mode": "auth_mode"}, TOKEN_FIELDS),
    "refresh": Flow("/auth/refresh", "auth_refresh", {"refresh_token": "String", "mode": "auth_mode"}, TOKEN_FIELDS),
    "logout": Flow("/auth/logout", "auth_logout", {"refresh_token": "String", "mode": "auth_mode"}),
    "request": Flow("/auth/password/request", "auth_password_request", {"reset_url": "String"}),
    "reset": Flow("/auth/password/reset", "auth_password_reset"),
    "invite": Flow("/users/invite", "users_invite", {"invite_url": "String"}),
    "accept": Flow("/users/invite/accept", "users_invite_accept"),
    "register": Flow("/users/register", "users_register", {"verification_url": "String", "first_name": "String"}),
    "verify": Flow("/users/register/verify-email", "users_register_verify"),
    "generate": Flow("/users/me/tfa/generate", "users_me_tfa_generate", {}, "{ secret otpauth_url }"),
    "enable": Flow("/users/me/tfa/enable", "users_me_tfa_enable"),
    "disable": Flow("/users/me/tfa/disable", "users_me_tfa_disable"),
    "recovery": Flow("/users/me/tfa/recovery-codes", "users_me_tfa_recovery_codes"),
    "hash": Flow("/utils/hash/generate", "utils_hash_generate"),
    "match": Flow("/utils/hash/verify", "utils_hash_verify"),
}


async def call_flow(client, entry_point, flow, *, cookies=None, headers=None, inline=False, **arguments):
    """Call a flow over REST or GraphQL; `inline` writes the GraphQL arguments as literals instead of variables."""
    path, _, optional, _ = FLOWS[flow]
    if entry_point == "rest" and flow == "verify":
        return await send(client, "GET", f"{path}?token={quote(arguments['token'])}", None, cookies, headers)
    if entry_point == "rest":
        return await send(client, "POST", path, arguments, cookies, headers)
    if inline:
        literals = {name: value if name == "mode" else json.dumps(value) for name, value in arguments.items()}
        return await post_graphql(client, f"mutation {{ {mutation_field(flow, literals)} }}", cookies, headers)
    types = ", ".join(f"${name}: {optional.get(name, 'String!')}" for name in arguments)
    field = mutation_field(flow, {name: f"${name}" for name in arguments})
    text = f"mutation{f'({types})' if types else ''} {{ {field} }}"
    return await post_graphql(client, text, cookies, headers, variables=arguments)


def mutation_field(flow, arguments):
    """Return the mutation's field with these arguments and its selection."""
    _, field, _, selection = FLOWS[flow]
    argument_list = ", ".join(f"{name}: {value}" for name, value in arguments.items())
    return f"{field}{f'({argument_list})' if argument_list else ''} {selection}"


async def post_graphql(client, text, cookies=None, headers=None, **options):
    return await send(client, "POST", GRAPHQL_PATH, {"query": text, **options}, cookies, headers)


async def get_me(client, entry_point, cookies=None, headers=None):
    """Read the id of the calling user."""
    if entry_point == "rest":
        return await send(client, "GET", "/users/me?fields=id", None, cookies, headers)
    return await post_graphql(client, "{ users_me { id } }", cookies, headers)


def error_code(response):
    """Return the code of a response's first error, or None."""
    errors = response.json().get("errors", []) if response.content and response.status_code != 302 else []
    return errors[0]["extensions"]["code"] if errors else None


def response_data(response):
    """Return the data of a response without errors, from either entry point."""
    assert error_code(response) is None, response.text
    if not response.content or response.status_code == 302:
        return None
    data = response.json()["data"]
    return next(iter(data.values())) if response.request.url.path == GRAPHQL_PATH else data


def comparable_response(response):
    """Return everything a client can observe of a response."""
    return response.status_code, sorted(response.headers.multi_items()), response.content
