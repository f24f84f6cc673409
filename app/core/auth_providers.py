"""Settings of the authentication providers, `AUTH_<NAME>_…`, under Directus' names."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from uuid import UUID

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator

from app.core.values import parse_duration

PREFIX = "AUTH_"
JSON_PREFIX = "json:"
"""Marks a value as JSON in Directus' settings."""
DEFAULT_PROVIDER = "default"
"""The provider of users whose passwords are verified here."""
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
URL_PATTERN = re.compile(r"https?://[!-~]+", re.ASCII | re.IGNORECASE)
MIN_SIMILARITY = 0.4
"""Ratio of `difflib` from which the nearest setting is suggested."""
REQUIRED_URLS = {"openid": ("issuer_url",), "oauth2": ("authorize_url", "access_url", "profile_url")}
"""The URLs that each driver needs."""
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
PROTOCOL_PARAMETERS = frozenset(
    {"client_id", "code_challenge", "code_challenge_method", "nonce", "redirect_uri", "response_type", "state"}
)
"""Parameters of the authorization URL that protect a sign-in, so that no setting may replace them."""


def _parse_list(value: Any) -> Any:
    return tuple(filter(None, (item.strip() for item in value.split(",")))) if isinstance(value, str) else value


def _parse_object(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        parsed = orjson.loads(value.removeprefix(JSON_PREFIX))
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise ValueError('must be a JSON object such as json:{"name": "value"}')
    return parsed


def _parse_duration(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


def _check_url(value: str) -> str:
    if not URL_PATTERN.fullmatch(value):
        raise ValueError("must be a URL that starts with https:// or http://")
    return value


def _check_role(value: str) -> str:
    try:
        return str(UUID(value))
    except ValueError:
        raise ValueError("must be the id of a role, or for a role mapping an object of such ids by group") from None


ProviderUrl = Annotated[str, BeforeValidator(_check_url)]
RoleId = Annotated[str, BeforeValidator(_check_role)]
CommaSeparated = Annotated[tuple[str, ...], BeforeValidator(_parse_list)]
Duration = Annotated[
    timedelta, BeforeValidator(lambda value: parse_duration(value) if isinstance(value, str) else value)
]


class ProviderSettings(BaseModel):
    """The settings of one provider. Settings that only one of the drivers has say so in their description."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str
    driver: Literal["openid", "oauth2"] = Field(description="`openid` for OpenID Connect, `oauth2` for OAuth 2")
    client_id: str = Field(description="The id with which the server is registered at the provider")
    client_secret: SecretStr = Field(description="The secret that belongs to it")
    client_token_endpoint_auth_method: Literal["client_secret_basic", "client_secret_post"] = Field(
        "client_secret_basic", description="How the server sends its secret: in a header, or in the form"
    )
    issuer_url: ProviderUrl | None = Field(
        None,
        description="`openid`: the URL of the provider or of its metadata, which ends with "
        "`/.well-known/openid-configuration`",
    )
    authorize_url: ProviderUrl | None = Field(None, description="`oauth2`: the page on which users sign in")
    access_url: ProviderUrl | None = Field(None, description="`oauth2`: where codes are exchanged for tokens")
    profile_url: ProviderUrl | None = Field(None, description="`oauth2`: where the user's profile is read")
    scope: str | None = Field(
        None, description="Requested scopes; by default `openid profile email`, with `oauth2` only `email`"
    )
    params: Annotated[dict[str, str], BeforeValidator(_parse_object)] = Field(
        {}, description="More parameters of the authorization URL, as a JSON object"
    )
    identifier_key: str | None = Field(
        None, description="The claim that identifies the user; by default `sub`, with `oauth2` the email address"
    )
    email_key: str = Field("email", description="The claim with the email address")
    first_name_key: str | None = Field(
        None, description="The claim with the first name; by default `given_name`, with `oauth2` none"
    )
    last_name_key: str | None = Field(
        None, description="The claim with the last name; by default `family_name`, with `oauth2` none"
    )
    allow_public_registration: bool = Field(False, description="Whether a first sign-in creates a user")
    require_verified_email: bool = Field(
        False, description="Whether the claim `email_verified` must be true before an email address is stored"
    )
    default_role_id: RoleId | None = Field(None, description="The role of new users without a mapped group")
    role_mapping: Annotated[dict[str, RoleId], BeforeValidator(_parse_object)] | None = Field(
        None,
        description="Role ids by group, as a JSON object. Each sign-in assigns the role of the first entry whose group "
        "the user has, or the default role",
    )
    group_claim_name: str = Field("groups", description="The claim with the user's groups")
    sync_user_info: bool = Field(False, description="Whether each sign-in updates the name and the email address")
    redirect_allow_list: CommaSeparated = Field(
        (), description="URLs besides those of PUBLIC_URL that a sign-in may lead to, comma-separated"
    )
    mode: Literal["session", "json", "cookie"] = Field(
        "session", description="Which tokens a sign-in returns: a session cookie, or else a refresh token"
    )
    login_timeout: Duration = Field(timedelta(minutes=5), description="How long a sign-in at the provider may take")
    label: str | None = Field(None, description="The name on sign-in pages; by default that of the provider")
    icon: str | None = Field(None, description="The icon on sign-in pages")

    @property
    def scopes(self) -> str:
        """The scopes to request, separated by spaces."""
        return self.scope or ("openid profile email" if self.driver == "openid" else "email")

    @model_validator(mode="after")
    def _check_urls(self) -> Self:
        for name in REQUIRED_URLS[self.driver]:
            if getattr(self, name) is None:
                raise ValueError(f"{variable_name(self.name, name)}: must be set, because the driver is {self.driver}")
        return self

    @model_validator(mode="after")
    def _check_parameters(self) -> Self:
        if self.driver == "openid" and "openid" not in self.scopes.split():
            raise ValueError(f"{variable_name(self.name, 'scope')}: must contain openid")
        if reserved := sorted(PROTOCOL_PARAMETERS & self.params.keys()):
            raise ValueError(f"{variable_name(self.name, 'params')}: must not contain {reserved[0]}")
        return self


SETTING_NAMES = tuple(name for name in ProviderSettings.model_fields if name != "name")


def variable_name(provider: str, setting: str) -> str:
    """Return the name of the variable with a provider's setting."""
    return f"{PREFIX}{provider.upper()}_{setting.upper()}"


def load_providers(names: Sequence[str], variables: Mapping[str, str | None]) -> tuple[ProviderSettings, ...]:
    """Return the settings of the providers with these names, from variables of any case; empty ones are ignored.

    Raises:
        ValueError: A name or a setting is invalid; the message names the first variable that is, and no value.
    """
    _check_names(names)
    values = {name.upper(): value for name, value in variables.items() if value}
    owners = {name: _owner(name, names) for name in values}
    return tuple(_load(name, {each: values[each] for each in values if owners[each] == name}) for name in names)


def unencrypted_urls(providers: Sequence[ProviderSettings]) -> list[str]:
    """Return a line for each URL over which secrets would be sent without TLS, unless it is on this machine."""
    urls = [
        (variable_name(each.name, name), urlsplit(getattr(each, name) or ""))
        for each in providers
        for name in REQUIRED_URLS[each.driver]
    ]
    return [
        f"{variable}: should start with https://"
        for variable, url in urls
        if url.scheme.lower() == "http" and url.hostname not in LOCAL_HOSTS
    ]


def _check_names(names: Sequence[str]) -> None:
    if len({name.upper() for name in names}) < len(names):
        raise ValueError("AUTH_PROVIDERS: must not contain a name twice, in whatever case")
    for name in names:
        if not NAME_PATTERN.fullmatch(name) or name.lower() in (DEFAULT_PROVIDER, "disable"):
            raise ValueError(
                "AUTH_PROVIDERS: must be names of letters, digits, hyphens and underscores, comma-separated; "
                f"{DEFAULT_PROVIDER} and disable are reserved"
            )


def _owner(variable: str, names: Sequence[str]) -> str | None:
    """Return the provider that a variable belongs to: the one with the longest name, as names may contain `_`."""
    matching = [name for name in names if variable.startswith(variable_name(name, ""))]
    return max(matching, key=len, default=None)


def _load(name: str, variables: Mapping[str, str | None]) -> ProviderSettings:
    prefix = variable_name(name, "")
    settings = {variable.removeprefix(prefix).lower(): value for variable, value in variables.items()}
    for setting in settings:
        if setting not in SETTING_NAMES:
            raise ValueError(_unknown_setting(name, setting))
    try:
        return ProviderSettings.model_validate({**settings, "name": name})
    except ValidationError as error:
        raise ValueError(_first_problem(name, error)) from None


def _unknown_setting(provider: str, setting: str) -> str:
    if setting == "plain_code_challenge":
        return f"{variable_name(provider, setting)}: is not supported, because PKCE always uses S256; remove it"
    nearest = get_close_matches(setting, SETTING_NAMES, 1, MIN_SIMILARITY)
    hint = f". Did you mean {variable_name(provider, nearest[0])}?" if nearest else ""
    return f"{variable_name(provider, setting)}: is not a setting{hint}"


def _first_problem(provider: str, error: ValidationError) -> str:
    first = error.errors()[0]
    if not first["loc"]:
        return first["msg"].removeprefix("Value error, ")
    problem = "must be set" if first["type"] == "missing" else first["msg"].removeprefix("Value error, ")
    return f"{variable_name(provider, str(first['loc'][0]))}: {problem}"
