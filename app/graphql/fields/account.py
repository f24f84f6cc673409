"""The root fields of accounts: login and logout, invitations, registration, two-factor codes, sessions, tools."""

import enum
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any

import strawberry
from graphql import FieldNode
from strawberry.types.field import StrawberryField

from app.core.errors import InvalidCredentials, InvalidProviderConfig
from app.core.sign_in_turn import run_as_sign_in
from app.flows import tools
from app.flows.invitations import Invitations
from app.flows.login import Credentials, LoginService
from app.flows.password_reset import PasswordReset
from app.flows.registration import Registration
from app.flows.session import SessionService
from app.flows.session_list import SessionListService
from app.flows.tokens import TokenMode, Tokens
from app.flows.two_factor import TwoFactorService
from app.graphql.fields.queries import GraphQLContext
from app.graphql.types.builder import TypeBuilder
from app.repositories.directory import Directory

TOKEN_FIELDS = {"access_token": "String", "expires": "GraphQLBigInt", "refresh_token": "String"}
TOTP_SECRET_FIELDS = {"secret": "String", "otpauth_url": "String"}
SESSION_FIELDS = {
    "id": "ID!",
    "ip": "String",
    "user_agent": "String",
    "origin": "String",
    "expires": "Date",
    "current": "Boolean",
}

Info = strawberry.Info[GraphQLContext, Any]
Action = Callable[..., Awaitable[Any]]
"""Executes a root field for the caller of a directory, with the field's arguments as keywords."""

AuthMode = enum.Enum("AuthMode", {"json": "json", "cookie": "cookie", "session": "session"})


class FieldCredentialsError(InvalidCredentials):
    """The credentials in a field's arguments are invalid: an error of that field, not of the whole request."""


def define_account_types(types: TypeBuilder) -> None:
    """Define the types of these fields."""
    types.register_type("auth_mode", strawberry.enum(AuthMode, name="auth_mode"))
    specs_by_name = {
        "auth_tokens": TOKEN_FIELDS,
        "users_me_tfa_generate_data": TOTP_SECRET_FIELDS,
        "users_me_session": SESSION_FIELDS,
    }
    for name, specs in specs_by_name.items():
        types.define_type(name, (types.field(member, spec) for member, spec in specs.items()))


def account_mutations(types: TypeBuilder) -> Iterator[StrawberryField]:
    """Yield the mutations that every caller sees."""
    mode = {"mode": "auth_mode"}
    login = {"email": "String!", "password": "String!", **mode, "otp": "String"}
    new_password = {"token": "String!", "password": "String!"}
    yield _sign_in_mutation(types, "auth_login", "auth_tokens", login, _login)
    yield _sign_in_mutation(types, "auth_refresh", "auth_tokens", {"refresh_token": "String", **mode}, _refresh)
    yield _sign_in_mutation(types, "auth_logout", "Boolean", {"refresh_token": "String", **mode}, _logout)
    yield _mutation(types, "auth_password_request", "Boolean", {"email": "String!", "reset_url": "String"}, _request)
    yield _mutation(types, "auth_password_reset", "Boolean", new_password, _reset)
    yield _mutation(
        types,
        "users_me_tfa_generate",
        "users_me_tfa_generate_data",
        {"password": "String!"},
        _unless_anonymous(_generate),
    )
    yield _mutation(
        types, "users_me_tfa_enable", "Boolean", {"otp": "String!", "secret": "String!"}, _unless_anonymous(_enable)
    )
    yield _mutation(types, "users_me_tfa_disable", "Boolean", {"otp": "String!"}, _unless_anonymous(_disable))
    yield _mutation(types, "utils_random_string", "String", {"length": "Int"}, _random)
    yield _mutation(types, "utils_hash_generate", "String", {"string": "String!"}, _hash)
    yield _mutation(types, "utils_hash_verify", "Boolean", {"string": "String!", "hash": "String!"}, _verify_hash)
    yield _mutation(types, "utils_cache_clear", "Void", {}, tools.clear_cache)
    yield _mutation(types, "users_invite_accept", "Boolean", new_password, _accept)
    optional = dict.fromkeys(("verification_url", "first_name", "last_name"), "String")
    yield _mutation(
        types, "users_register", "Boolean", {"email": "String!", "password": "String!", **optional}, _register
    )
    yield _mutation(types, "users_register_verify", "Boolean", {"token": "String!"}, _verify)


def invite_mutations(types: TypeBuilder) -> Iterator[StrawberryField]:
    """Yield the mutation that only callers see who may create users."""
    invitation = {"email": "String!", "role": "String!", "invite_url": "String"}
    yield _mutation(types, "users_invite", "Boolean", invitation, _invite)


def extension_mutations(types: TypeBuilder) -> Iterator[StrawberryField]:
    """Yield the mutations that Directus does not have."""
    yield _mutation(types, "users_invite_revoke", "Boolean", {"email": "String!"}, _revoke_invite)
    yield _mutation(
        types, "users_me_tfa_recovery_codes", "[String!]", {"otp": "String!"}, _unless_anonymous(_recovery_codes)
    )
    yield _mutation(types, "users_me_sessions_revoke", "Int", {"id": "ID"}, _unless_anonymous(_revoke_sessions))
    yield _mutation(types, "users_sessions_revoke", "Int", {"user": "ID!", "id": "ID"}, _revoke_sessions)


def extension_queries(types: TypeBuilder) -> Iterator[StrawberryField]:
    """Yield the queries of active sessions, which Directus does not have."""
    yield types.field("users_me_sessions", "[users_me_session!]", {}, _resolver(_unless_anonymous(_sessions)))
    yield types.field("users_sessions", "[users_me_session!]", {"user": "ID!"}, _resolver(_sessions))


def _mutation(
    types: TypeBuilder, name: str, spec: str, arguments: Mapping[str, str], action: Action
) -> StrawberryField:
    """Return a field whose response is not stored, and in which invalid credentials are an error of the field alone."""
    return types.field(name, spec, arguments, _resolver(_not_stored(action)))


def _sign_in_mutation(
    types: TypeBuilder, name: str, spec: str, arguments: Mapping[str, str], action: Action
) -> StrawberryField:
    """Return the same field for an operation that waits among the sign-ins, as its REST twin does."""
    execute = _not_stored(action)

    async def resolve(info: Info, **values: Any) -> Any:
        operation = partial(execute, info.context.directory, **values)
        return await run_as_sign_in(operation, is_last=_is_only_field(info))

    return types.field(name, spec, arguments, resolve)


def _is_only_field(info: Info) -> bool:
    selections = info.operation.selection_set.selections
    return len(selections) == 1 and isinstance(selections[0], FieldNode)


def _not_stored(action: Action) -> Action:
    async def execute(directory: Directory, **values: Any) -> Any:
        directory.no_store = True
        try:
            return await action(directory, **values)
        except InvalidCredentials:
            raise FieldCredentialsError from None

    return execute


def _resolver(action: Action) -> Callable[..., Awaitable[Any]]:
    async def resolve(info: Info, **values: Any) -> Any:
        return await action(info.context.directory, **values)

    return resolve


def _unless_anonymous(action: Action) -> Action:
    """Return the same action, which returns null to an anonymous caller."""

    async def execute(directory: Directory, **values: Any) -> Any:
        return None if directory.caller.anonymous else await action(directory, **values)

    return execute


async def _login(
    directory: Directory, *, email: str, password: str, mode: enum.Enum | None = None, otp: str | None = None
) -> SimpleNamespace:
    if directory.services.settings.auth_disable_default:
        raise InvalidProviderConfig("default")
    tokens = await LoginService(directory).login(Credentials(email, password, otp), token_mode(mode))
    return issued_tokens(directory, tokens)


async def _refresh(
    directory: Directory, *, refresh_token: str | None = None, mode: enum.Enum | None = None
) -> SimpleNamespace:
    return issued_tokens(directory, await SessionService(directory).refresh(refresh_token, token_mode(mode)))


async def _logout(directory: Directory, *, refresh_token: str | None = None, mode: enum.Enum | None = None) -> bool:
    expired_cookie = await SessionService(directory).logout(refresh_token, token_mode(mode))
    if token_mode(mode) is not TokenMode.JSON:
        directory.response_cookies += (expired_cookie,)
    return True


def token_mode(value: enum.Enum | None) -> TokenMode:
    """Return the mode that an argument names, by default JSON."""
    return TokenMode(value.value) if value else TokenMode.JSON


def issued_tokens(directory: Directory, tokens: Tokens) -> SimpleNamespace:
    """Return the tokens of a field's result, and set the cookies."""
    directory.response_cookies += tokens.cookies
    expires = str(round(tokens.expires.total_seconds() * 1000))
    return SimpleNamespace(access_token=tokens.access, expires=expires, refresh_token=tokens.refresh)


async def _request(directory: Directory, *, email: str, reset_url: str | None = None) -> bool:
    await PasswordReset(directory).request(email, reset_url)
    return True


async def _reset(directory: Directory, *, token: str, password: str) -> bool:
    await PasswordReset(directory).reset(token, password)
    return True


async def _generate(directory: Directory, *, password: str) -> SimpleNamespace:
    secret = await TwoFactorService(directory).generate(password)
    return SimpleNamespace(secret=secret.secret, otpauth_url=secret.url)


async def _enable(directory: Directory, *, otp: str, secret: str) -> bool:
    await TwoFactorService(directory).enable(otp, secret)
    return True


async def _disable(directory: Directory, *, otp: str) -> bool:
    await TwoFactorService(directory).disable(otp)
    return True


async def _recovery_codes(directory: Directory, *, otp: str) -> list[str]:
    return await TwoFactorService(directory).recovery_codes(otp)


async def _random(directory: Directory, *, length: int | None = None) -> str:
    return tools.random_string(length)


async def _hash(directory: Directory, *, string: str) -> str:
    return await tools.hash_text(directory.services, string)


async def _verify_hash(directory: Directory, *, string: str, **values: str) -> bool:
    return await tools.verify_hash(directory.services, string, values["hash"])


async def _invite(directory: Directory, *, email: str, role: str, invite_url: str | None = None) -> bool:
    await Invitations(directory).invite([email], role, invite_url)
    return True


async def _accept(directory: Directory, *, token: str, password: str) -> bool:
    await Invitations(directory).accept(token, password)
    return True


async def _revoke_invite(directory: Directory, *, email: str) -> bool:
    return await Invitations(directory).revoke(email)


async def _register(
    directory: Directory, *, email: str, password: str, verification_url: str | None = None, **names: str | None
) -> bool:
    await Registration(directory).register(email, password, verification_url, **names)
    return True


async def _verify(directory: Directory, *, token: str) -> bool:
    await Registration(directory).verify(token)
    return True


async def _sessions(directory: Directory, *, user: str | None = None) -> list[SimpleNamespace]:
    return [SimpleNamespace(**session.as_dict()) for session in await SessionListService(directory).all(user)]


async def _revoke_sessions(directory: Directory, *, user: str | None = None, **values: str | None) -> int:
    return await SessionListService(directory).revoke(values.get("id"), user)
