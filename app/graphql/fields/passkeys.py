"""The root fields of passkeys, with their types."""

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import strawberry
from strawberry.types.field import StrawberryField

from app.core.errors import InvalidCredentials, InvalidPayload
from app.flows.login import Credentials, LoginService
from app.flows.passkeys.account_proof import Proof
from app.flows.passkeys.assertions import PasskeyOptions, PasskeyResponse
from app.flows.passkeys.own_passkeys import PasskeyService
from app.flows.passkeys.passkey_sign_in import PASSKEY_USES, PasskeySignIn
from app.graphql.fields.account import FieldCredentialsError, issued_tokens, token_mode
from app.graphql.fields.queries import GraphQLContext
from app.graphql.types.builder import TypeBuilder
from app.repositories.directory import Directory

Info = strawberry.Info[GraphQLContext, Any]

PASSKEY = {
    "id": "ID!",
    "name": "String!",
    "transports": "[String!]!",
    "synced": "Boolean!",
    "backed_up": "Boolean!",
    "created": "Date!",
    "last_used": "Date",
    "counter_rejected": "Date",
}
PASSKEY_OPTIONS = {"challenge_token": "String!", "public_key": "JSON!"}
RESPONSE = {"challenge_token": "String!", "credential": "JSON!"}
PROOF = {"password": "String", "otp": "String", "challenge_token": "String", "credential": "JSON"}

PasskeyUse = enum.Enum("PasskeyUse", {name: name for name in PASSKEY_USES})  # type: ignore[misc]  # dynamic members


def define_passkey_types(types: TypeBuilder) -> None:
    """Define the types of a passkey, and of the options of a ceremony."""
    types.register_type("passkey_use", strawberry.enum(PasskeyUse, name="passkey_use"))
    for name, specs in (("passkey", PASSKEY), ("passkey_options", PASSKEY_OPTIONS)):
        types.define_type(name, [types.field(member, spec) for member, spec in specs.items()])


def passkey_queries(types: TypeBuilder) -> Iterator[StrawberryField]:
    """Yield the queries of passkeys, which Directus does not have."""
    yield types.field("users_me_passkeys", "[passkey!]", {}, _list_own)
    yield types.field("users_passkeys", "[passkey!]", {"user": "ID!"}, _list)


def passkey_mutations(types: TypeBuilder) -> Iterator[StrawberryField]:
    """Yield the mutations that sign in with passkeys and manage them."""
    login = {**RESPONSE, "mode": "auth_mode", "email": "String", "password": "String"}
    yield types.field("auth_passkey_options", "passkey_options", {"use": "passkey_use"}, _login_options)
    yield types.field("auth_passkey_login", "auth_tokens", login, _login)
    yield types.field("users_me_passkeys_options", "passkey_options", PROOF, _registration_options)
    yield types.field("users_me_passkeys_create", "passkey", {"name": "String!", **RESPONSE}, _register)
    yield types.field("users_me_passkeys_rename", "passkey", {"id": "ID!", "name": "String!"}, _rename)
    yield types.field("users_me_passkeys_revoke", "Boolean", {"id": "ID!", **PROOF}, _revoke)
    yield types.field("users_passkeys_revoke", "Boolean", {"user": "ID!", "id": "ID!"}, _revoke_for)


async def _list_own(info: Info) -> list[SimpleNamespace] | None:
    """List the caller's own passkeys; null for an anonymous caller."""
    return None if info.context.directory.caller.anonymous else await _list(info)


async def _list(info: Info, user: str | None = None) -> list[SimpleNamespace]:
    passkeys = await PasskeyService(info.context.directory).all(user)
    return [SimpleNamespace(**passkey.as_dict()) for passkey in passkeys]


async def _login_options(info: Info, use: enum.Enum | None = None) -> SimpleNamespace:
    options = PasskeySignIn(_unstored(info)).options(use.value if use else "sign_in")
    return _options(options)


async def _login(
    info: Info,
    challenge_token: str,
    credential: Any,
    mode: enum.Enum | None = None,
    email: str | None = None,
    password: str | None = None,
) -> SimpleNamespace:
    directory, passkey = _unstored(info), PasskeyResponse(challenge_token, credential)
    if (email is None) != (password is None):
        raise InvalidPayload('"email" and "password" belong together')
    with _errors_of_field():
        if email is None or password is None:
            tokens = await PasskeySignIn(directory).sign_in(passkey, token_mode(mode))
        else:
            tokens = await LoginService(directory).login(Credentials(email, password, None, passkey), token_mode(mode))
    return issued_tokens(directory, tokens)


async def _registration_options(info: Info, **proof: Any) -> SimpleNamespace | None:
    if (directory := _unstored(info)).caller.anonymous:
        return None
    with _errors_of_field():
        return _options(await PasskeyService(directory).registration_options(_proof(**proof)))


async def _register(info: Info, name: str, challenge_token: str, credential: Any) -> SimpleNamespace | None:
    if (directory := _unstored(info)).caller.anonymous:
        return None
    passkey = await PasskeyService(directory).register(PasskeyResponse(challenge_token, credential), name)
    return SimpleNamespace(**passkey.as_dict())


async def _rename(info: Info, name: str, **values: str) -> SimpleNamespace | None:
    if (directory := _unstored(info)).caller.anonymous:
        return None
    return SimpleNamespace(**(await PasskeyService(directory).rename(values["id"], name)).as_dict())


async def _revoke(info: Info, **values: Any) -> bool | None:
    if (directory := _unstored(info)).caller.anonymous:
        return None
    passkey = values.pop("id")
    with _errors_of_field():
        await PasskeyService(directory).revoke(passkey, _proof(**values))
    return True


async def _revoke_for(info: Info, user: str, **values: str) -> bool:
    await PasskeyService(_unstored(info)).revoke_for(values["id"], user)
    return True


def _options(options: PasskeyOptions) -> SimpleNamespace:
    return SimpleNamespace(challenge_token=options.challenge_token, public_key=options.public_key)


def _proof(
    password: str | None = None, otp: str | None = None, challenge_token: str | None = None, credential: Any = None
) -> Proof:
    """Return the proof in a field's arguments; raise InvalidPayload for half of a passkey's response."""
    if (challenge_token is None) != (credential is None):
        raise InvalidPayload('"challenge_token" and "credential" belong together')
    passkey = None if challenge_token is None else PasskeyResponse(challenge_token, credential)
    return Proof(password, otp, passkey)


@contextmanager
def _errors_of_field() -> Iterator[None]:
    """Turn invalid credentials into an error of the field, not of the whole request."""
    try:
        yield
    except InvalidCredentials:
        raise FieldCredentialsError from None


def _unstored(info: Info) -> Directory:
    """Return the directory, after noting that no cache may store the response."""
    directory = info.context.directory
    directory.no_store = True
    return directory
