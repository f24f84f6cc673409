"""The two doors that lead to the flows of accounts, and one way to ask at either."""

import json
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from tests.http.clients import send
from tests.world import hashed

DOORS = ("rest", "graphql")
GRAPHQL = "/graphql/system"
PASSWORD = "correct, but only here"
TOKENS = "{ access_token refresh_token expires }"
SECRET = "JBSWY3DPEHPK3PXP"

HASHED = hashed(PASSWORD)


class Flow(NamedTuple):
    """Where one flow begins: its path, its mutation, what may be left out, and what is asked of its answer."""

    path: str
    field: str
    optional: Mapping[str, str] = {}
    told: str = ""


FLOWS = {
    "login": Flow("/auth/login", "auth_login", {"otp": "String", "mode": "auth_mode"}, TOKENS),
    "refresh": Flow("/auth/refresh", "auth_refresh", {"refresh_token": "String", "mode": "auth_mode"}, TOKENS),
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


async def ask(client, door, flow, *, cookies=None, headers=None, literally=False, **given):
    """The answer of a flow; in GraphQL what is given goes as variables, or stands in the text itself."""
    path, _, optional, _ = FLOWS[flow]
    if door == "rest" and flow == "verify":
        return await send(client, "GET", f"{path}?token={quote(given['token'])}", None, cookies, headers)
    if door == "rest":
        return await send(client, "POST", path, given, cookies, headers)
    if literally:
        shown = {name: value if name == "mode" else json.dumps(value) for name, value in given.items()}
        return await query(client, f"mutation {{ {called(flow, shown)} }}", cookies, headers)
    types = ", ".join(f"${name}: {optional.get(name, 'String!')}" for name in given)
    text = f"mutation{f'({types})' if types else ''} {{ {called(flow, {name: f'${name}' for name in given})} }}"
    return await query(client, text, cookies, headers, variables=given)


def called(flow, shown):
    """One mutation with these arguments."""
    _, field, _, told = FLOWS[flow]
    arguments = ", ".join(f"{name}: {value}" for name, value in shown.items())
    return f"{field}{f'({arguments})' if arguments else ''} {told}"


async def query(client, text, cookies=None, headers=None, **more):
    return await send(client, "POST", GRAPHQL, {"query": text, **more}, cookies, headers)


async def me(client, door, cookies=None, headers=None):
    """Who one is."""
    if door == "rest":
        return await send(client, "GET", "/users/me?fields=id", None, cookies, headers)
    return await query(client, "{ users_me { id } }", cookies, headers)


def code(answer):
    """What an answer was refused with; None where it wasn't."""
    errors = answer.json().get("errors", []) if answer.content and answer.status_code != 302 else []
    return errors[0]["extensions"]["code"] if errors else None


def told(answer):
    """What an answer tells, whichever door it came through; there was no error."""
    assert code(answer) is None, answer.text
    if not answer.content or answer.status_code == 302:
        return None
    data = answer.json()["data"]
    return next(iter(data.values())) if answer.request.url.path == GRAPHQL else data


def whole(answer):
    """Everything that can be seen of an answer."""
    return answer.status_code, sorted(answer.headers.multi_items()), answer.content
