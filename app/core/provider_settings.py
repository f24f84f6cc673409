"""What the settings of every authentication provider have in common, and those of OpenID Connect and OAuth 2."""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from uuid import UUID

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from app.core.values import parse_duration

PREFIX = "AUTH_"
JSON_PREFIX = "json:"
"""Marks a value as JSON in Directus' settings."""
URL_PATTERN = re.compile(r"https?://[!-~]+", re.ASCII | re.IGNORECASE)
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


def variable_name(provider: str, setting: str) -> str:
    """Return the name of the variable with a provider's setting."""
    return f"{PREFIX}{provider.upper()}_{setting.upper()}"


class ProviderSettings(BaseModel):
    """The settings that every provider has, whatever its driver."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str
    driver: str
    allow_public_registration: bool = Field(False, description="Whether a first sign-in creates a user")
    default_role_id: RoleId | None = Field(None, description="The role of new users without a mapped group")
    role_mapping: Annotated[dict[str, RoleId], BeforeValidator(_parse_object)] | None = Field(
        None,
        description="Role ids by group, as a JSON object. Each sign-in assigns the role of the first entry whose group "
        "the user has, or the default role",
    )
    sync_user_info: bool = Field(False, description="Whether each sign-in updates the name and the email address")
    label: str | None = Field(None, description="The name on sign-in pages; by default that of the provider")
    icon: str | None = Field(None, description="The icon on sign-in pages")

    @property
    def assigns_roles(self) -> bool:
        """Whether each sign-in assigns a role, or none."""
        return self.role_mapping is not None

    @property
    def can_start_browser_session(self) -> bool:
        """Whether a sign-in can set a session cookie."""
        return True

    def unencrypted(self) -> list[str]:
        """Return a line for each setting with which secrets would be sent without TLS to another machine."""
        return []


class OAuthSettings(ProviderSettings):
    """The settings of a provider to which the browser is redirected; some of them are of one driver only."""

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
    link_existing_accounts: bool = Field(
        False,
        description="Whether users may link their account to the provider by its password, if the provider has "
        "verified the same email address",
    )
    require_verified_email: bool = Field(
        False, description="Whether the claim `email_verified` must be true before an email address is stored"
    )
    group_claim_name: str = Field("groups", description="The claim with the user's groups")
    redirect_allow_list: CommaSeparated = Field(
        (), description="URLs besides those of PUBLIC_URL that a sign-in may lead to, comma-separated"
    )
    mode: Literal["session", "json", "cookie"] = Field(
        "session", description="Which tokens a sign-in returns: a session cookie, or else a refresh token"
    )
    login_timeout: Duration = Field(timedelta(minutes=5), description="How long a sign-in at the provider may take")

    @property
    def can_start_browser_session(self) -> bool:
        return self.mode == "session"

    def unencrypted(self) -> list[str]:
        urls = {name: urlsplit(getattr(self, name) or "") for name in REQUIRED_URLS[self.driver]}
        return [
            f"{variable_name(self.name, name)}: should start with https://"
            for name, url in urls.items()
            if url.scheme.lower() == "http" and url.hostname not in LOCAL_HOSTS
        ]

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
