"""Settings, from the environment and `.env`, under Directus' own names wherever it has one."""

import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.core.errors import OperatorError
from app.core.hashing import HashCost
from app.core.ip_addresses import ProxyTrust, parse_proxy_trust
from app.core.values import parse_duration, parse_size

SQLITE_URL_PREFIX = "sqlite+aiosqlite:///"
LOCAL_LOCATION = "local"
SECRET_BYTES = 32
MIN_HASH_KIB_PER_THREAD = 8
"""KiB that a thread needs to hash with."""
ORIGIN_PATTERN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?", re.ASCII)
"""An origin as browsers spell it, or an app that is one."""
REDIRECT_PATTERN = re.compile(r"(https?://[!-~]+|\.{0,2}/(?![/\\])[!-~]+)", re.ASCII)
"""A URL, or a path on this server: what begins with two slashes is another server's."""


def _parsed_from_str(parse: Any) -> BeforeValidator:
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


def _parse_list(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (word.strip() for word in text.split(","))))


def _parse_origins(text: str) -> bool | tuple[str, ...]:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for origin in (origins := _parse_list(text)):
        if not ORIGIN_PATTERN.fullmatch(origin):
            raise ValueError("true, false, or origins such as https://app.example.com, with no path, divided by commas")
    return origins


def _parse_redirect(text: str) -> str | None:
    if text.lower() == "false":
        return None
    if not REDIRECT_PATTERN.fullmatch(text):
        raise ValueError("false, a path such as ./admin, or a URL")
    return text


Duration = Annotated[timedelta, _parsed_from_str(parse_duration)]
Size = Annotated[int, _parsed_from_str(parse_size)]
Proxies = Annotated[ProxyTrust, NoDecode, _parsed_from_str(parse_proxy_trust)]
Origins = Annotated[bool | tuple[str, ...], NoDecode, _parsed_from_str(_parse_origins)]
CommaSeparated = Annotated[tuple[str, ...], NoDecode, _parsed_from_str(_parse_list)]
RedirectTarget = Annotated[str | None, _parsed_from_str(_parse_redirect)]
SameSite = Literal["lax", "strict", "none"]
RowLimit = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(lambda most: None if most == "-1" else most)]


class ConfigurationError(OperatorError):
    """An invalid setting. The message names the setting and the values it accepts."""


class Settings(BaseSettings):
    """Everything that can be set from outside."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_ignore_empty=True,  # an empty SECRET would sign with nothing
        extra="ignore",
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
    )

    database_url: str = Field(
        SQLITE_URL_PREFIX + "data/rollcall.db",
        repr=False,
        description="Where the database is: `sqlite+aiosqlite:///FILE` or `postgresql+asyncpg://USER:PASSWORD@HOST/NAME`",
    )
    secret: SecretStr | None = Field(
        None,
        description="Signs access tokens; Directus' own, to share them. Unset: one is made and kept in a file "
        "`secret`, beside SQLite's or in `data`",
    )
    host: str = Field("127.0.0.1", description="The address to listen on")
    port: int = Field(8055, ge=0, le=65535, description="The port to listen on")
    public_url: str | None = Field(None, description="The address that clients know; links in mails lead there")
    root_redirect: RedirectTarget = Field(
        None,
        description="Where `/` leads: a path, such as Directus' `./admin`, or a URL below PUBLIC_URL; `false`: nowhere",
    )
    cors_enabled: bool = Field(False, description="Whether pages of other origins may ask")
    cors_origin: Origins = Field(
        False, description="Which: `false` for none, `true` for every one, or origins such as `https://app.example.com`"
    )
    cors_methods: CommaSeparated = Field(("GET", "POST", "PATCH", "DELETE", "SEARCH"), description="By which methods")
    cors_allowed_headers: CommaSeparated = Field(("Content-Type", "Authorization"), description="With which headers")
    cors_exposed_headers: CommaSeparated = Field(
        ("Content-Disposition", "Retry-After", "X-Request-Id"), description="Which headers of an answer they may read"
    )
    cors_credentials: bool = Field(
        True, description="Whether their requests may carry cookies; not where every origin may ask"
    )
    cors_max_age: int = Field(18000, ge=0, description="Seconds for which a browser needn't ask that again")
    hsts_enabled: bool = Field(False, description="Whether browsers are told to come by HTTPS only")
    hsts_max_age: int = Field(15_552_000, ge=0, description="And for how many seconds")
    admin_email: str = Field("admin@example.com", description="The first admin's e-mail address")
    admin_password: SecretStr | None = Field(
        None, max_length=1024, description="The first admin's password; unset, one is made up and printed once"
    )
    admin_token: SecretStr | None = Field(
        None, max_length=255, description="The first admin's static token, if it shall have one"
    )
    access_token_ttl: Duration = Field(timedelta(minutes=15), description="How long an access token is good")
    refresh_token_ttl: Duration = Field(timedelta(days=7), description="How long a refresh token is good")
    last_access_interval: Duration = Field(
        timedelta(minutes=1), description="How often it is written down which users asked something; 0 for never"
    )
    login_stall_time: Duration = Field(
        timedelta(milliseconds=500), description="How long signing in takes at least, whatever becomes of it"
    )
    register_stall_time: Duration = Field(
        timedelta(milliseconds=750), description="How long a registration takes at least, whatever becomes of it"
    )
    login_lockout_ttl: Duration = Field(
        timedelta(minutes=15),
        description="For how long failed sign-ins count; so long an address is locked out of an account at most",
    )
    auth_disable_default: bool = Field(False, description="Whether nobody may sign in with a password")
    refresh_token_store: Literal["plain", "hashed"] = Field(
        "plain",
        description="How refresh tokens are stored: `plain`, as Directus does, or `hashed`, so that who reads the "
        "database can't use them",
    )
    refresh_token_cookie_name: str = Field("directus_refresh_token", description="The cookie of a refresh token")
    refresh_token_cookie_secure: bool = Field(False, description="Whether that cookie is only sent over HTTPS")
    refresh_token_cookie_same_site: SameSite = Field("lax", description="To whose pages' requests it is added")
    refresh_token_cookie_domain: str | None = Field(None, description="The domain it is sent to")
    session_cookie_name: str = Field("directus_session_token", description="The cookie that carries a session's token")
    session_cookie_secure: bool = Field(False, description="Whether that cookie is only sent over HTTPS")
    session_cookie_same_site: SameSite = Field("lax", description="To whose pages' requests it is added")
    session_cookie_domain: str | None = Field(None, description="The domain it is sent to")
    session_cookie_ttl: Duration = Field(timedelta(days=1), description="How long a session lasts that isn't refreshed")
    session_refresh_grace_period: Duration = Field(
        timedelta(seconds=10), description="How long a session's old token is good after a refresh"
    )
    user_invite_token_ttl: Duration = Field(timedelta(days=7), description="How long an invitation is good")
    user_invite_url_allow_list: CommaSeparated = Field(
        (), description="URLs that invitations may lead to, divided by commas"
    )
    password_reset_url_allow_list: CommaSeparated = Field((), description="URLs that a password's reset may lead to")
    user_register_url_allow_list: CommaSeparated = Field(
        (), description="URLs that a registration's verification may lead to"
    )
    email_verification_token_ttl: Duration = Field(
        timedelta(days=7), description="How long a registration's link is good"
    )
    hash_memory_cost: int = Field(65536, ge=8, description="KiB of memory that hashing a password takes")
    hash_time_cost: int = Field(3, ge=1, description="How often it goes over them")
    hash_parallelism: int = Field(4, ge=1, le=255, description="How many threads it takes; each needs 8 KiB at least")
    email_transport: Literal["log", "smtp"] = Field(
        "log", description="How mail leaves: `smtp`, or only as lines of the `log`, links and all"
    )
    email_from: str = Field("no-reply@example.com", description="Whom mail is from")
    email_templates_path: Path | None = Field(None, description="A folder of templates that replace ours")
    email_smtp_host: str = Field("localhost", description="The server that takes our mail")
    email_smtp_port: int = Field(587, ge=1, le=65535, description="Its port")
    email_smtp_user: str | None = Field(None, description="Whom we sign in there as")
    email_smtp_password: SecretStr | None = Field(None, description="And the password")
    email_smtp_secure: bool = Field(False, description="Whether TLS is spoken from the first byte")
    email_smtp_ignore_tls: bool = Field(False, description="Whether TLS isn't spoken even where the server offers it")
    email_smtp_name: str | None = Field(None, description="The name we greet the server with")
    rate_limiter_enabled: bool = Field(False, description="Whether each address may ask only so often")
    rate_limiter_points: int = Field(50, ge=1, description="Requests of one address")
    rate_limiter_duration: int = Field(1, ge=1, description="In so many seconds")
    rate_limiter_global_enabled: bool = Field(False, description="Whether all together may ask only so often")
    rate_limiter_global_points: int = Field(1000, ge=1, description="Requests of everybody")
    rate_limiter_global_duration: int = Field(1, ge=1, description="In so many seconds")
    rate_limiter_registration_enabled: bool = Field(True, description="Whether an address may register only so often")
    rate_limiter_registration_points: int = Field(5, ge=1, description="Registrations from one address")
    rate_limiter_registration_duration: int = Field(60, ge=1, description="In so many seconds")
    rate_limiter_store: Literal["memory", "redis"] = Field(
        "memory", description="Where requests are counted: each process for itself, or all in `redis`"
    )
    redis: str = Field("redis://127.0.0.1:6379", repr=False, description="Where Redis is")
    activity_retention: Duration | None = Field(None, description="How long activity is kept; unset, for ever")
    revisions_retention: Duration | None = Field(None, description="How long revisions are kept; unset, for ever")
    query_limit_default: int = Field(100, ge=1, description="Rows of a list that doesn't say how many")
    query_limit_max: RowLimit = Field(None, description="Rows of a list at most; -1 for no such limit")
    max_relational_depth: int = Field(10, ge=2, description="Fields that may follow one another in a query")
    max_batch_mutation: RowLimit = Field(None, description="Rows that one mutation may write; -1 for no such limit")
    users_admin_access_limit: int | None = Field(None, ge=0, description="Active admins at most")
    users_app_access_limit: int | None = Field(
        None, ge=0, description="Active users with app access at most, admins aside"
    )
    users_api_access_limit: int | None = Field(None, ge=0, description="Active users with neither at most")
    max_payload_size: Size = Field(1024**2, description="The largest body of a request")
    graphql_introspection: bool = Field(True, description="Whether the schema may be asked for")
    graphql_plans: bool = Field(
        True, description="Whether queries seen before are answered from plans; `false` only to compare"
    )
    graphql_query_token_limit: int = Field(
        5000, ge=100, description="Tokens of a GraphQL document at most, and comments"
    )
    storage_locations: Annotated[CommaSeparated, Field(min_length=1)] = Field(
        ("local",), description="The storage's name, as the rows of files bear it; of several the first is used"
    )
    storage_local_driver: Literal["local", "s3"] = Field(
        "local", description="What it is: a folder of this machine (`local`), or a bucket of `s3`"
    )
    storage_local_root: Path = Field(Path("uploads"), description="The folder; with `s3` what all names begin with")
    storage_local_key: SecretStr | None = Field(None, description="With `s3`: the access key")
    storage_local_secret: SecretStr | None = Field(None, description="And its secret")
    storage_local_bucket: str | None = Field(None, description="The bucket")
    storage_local_region: str | None = Field(None, description="The bucket's region")
    storage_local_endpoint: str | None = Field(None, description="Where S3 is, if it isn't Amazon's")
    storage_local_force_path_style: bool = Field(
        False, description="Whether the bucket stands in the path instead of the host"
    )
    files_max_upload_size: Size = Field(100 * 1024**2, ge=1, description="The largest file that can be uploaded")
    files_mime_type_allow_list: CommaSeparated = Field(
        ("*/*",), description="Types that may be uploaded, such as `image/*`, divided by commas"
    )
    assets_cache_ttl: Duration = Field(
        timedelta(0), description="How long caches may keep what the public may read without asking again; 0 for never"
    )
    compatibility: Literal["10"] | None = Field(
        None, description="`10` for clients of Directus 10: roles tell their flags, and permissions their role"
    )
    ip_trust_proxy: Proxies = Field(
        False, description="Whose X-Forwarded-For is believed: `false`, `true`, a number of proxies, or networks"
    )
    log_level: Literal["debug", "info", "warn", "error"] = Field("info", description="What is worth a line in the log")
    log_style: Literal["raw", "pretty"] = Field(
        "raw", description="Log lines as JSON (`raw`) or for a person (`pretty`)"
    )
    db_pool_size: int = Field(
        16, ge=1, description="Connections to read with at most, and three more to write with; on SQLite 4 and 2"
    )
    db_queue_size: int = Field(1000, ge=1, description="Requests that may wait for a connection")
    db_queue_timeout: float = Field(5.0, gt=0, description="Seconds a request waits for a connection at most")
    db_statement_timeout: float = Field(10.0, gt=0, description="Seconds a statement may take")
    shutdown_timeout: int = Field(
        10, ge=0, description="Seconds that requests under way are given when the server stops"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # pydantic's own signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """A storage of another name than `local` has settings of that name."""
        given = [source for source in (env_settings, dotenv_settings) if isinstance(source, EnvSettingsSource)]
        names = (source.env_vars.get("storage_locations") for source in given)
        location = _parse_list(next(filter(None, names), LOCAL_LOCATION))[:1]
        for source in given:
            source.env_vars = _alias_storage_variables(source.env_vars, *location)
        return init_settings, env_settings, dotenv_settings, file_secret_settings

    @property
    def storage_location(self) -> str:
        """The name of the storage in use."""
        return self.storage_locations[0]

    @property
    def hash_cost(self) -> HashCost:
        """What hashing a password costs."""
        return HashCost(self.hash_memory_cost, self.hash_time_cost, self.hash_parallelism)

    @model_validator(mode="after")
    def _check_root_redirect(self) -> Self:
        place = self.root_redirect or ""
        if place.startswith("http") and (
            not self.public_url or not place.startswith(f"{self.public_url.rstrip('/')}/")
        ):
            raise ValueError("ROOT_REDIRECT: a URL has to lie below PUBLIC_URL")
        return self

    @model_validator(mode="after")
    def _check_hash_memory(self) -> Self:
        if self.hash_memory_cost < MIN_HASH_KIB_PER_THREAD * self.hash_parallelism:
            least = MIN_HASH_KIB_PER_THREAD * self.hash_parallelism
            raise ValueError(f"HASH_MEMORY_COST: {self.hash_parallelism} threads need {least} KiB at least")
        return self


def _alias_storage_variables(
    given: Mapping[str, str | None], location: str = LOCAL_LOCATION
) -> Mapping[str, str | None]:
    """The same variables with those of a storage under the names that `local`'s have, whose own don't count then."""
    if (named := location.lower()) == LOCAL_LOCATION:
        return given
    ours, theirs = f"storage_{LOCAL_LOCATION}_", f"storage_{named}_"
    others = {name: value for name, value in given.items() if not name.startswith(ours)}
    return others | {ours + name.removeprefix(theirs): given[name] for name in given if name.startswith(theirs)}


def load_settings() -> Settings:
    """The settings in force; BadSettings with one line for each that can't be used, and never a value."""
    try:
        return Settings()
    except ValidationError as error:
        lines = (": ".join([*(str(place).upper() for place in found["loc"]), found["msg"]]) for found in error.errors())
        raise ConfigurationError("; ".join(lines).replace("Value error, ", "")) from None


def signing_secret(settings: Settings) -> str:
    """The secret that signs tokens: SECRET, or one kept in a file, made when missing.

    The file is `secret` beside an SQLite database, else `data/secret`. Raises BadSettings where it can't be kept or
    holds no secret.
    """
    if settings.secret is not None:
        return settings.secret.get_secret_value()
    sqlite = settings.database_url.startswith("sqlite")
    file = (Path(settings.database_url.partition(":///")[2]).parent if sqlite else Path("data")) / "secret"
    try:
        if not file.exists():
            _write_secret_file(file, secrets.token_urlsafe(SECRET_BYTES))
        kept = file.read_text().strip()
    except OSError as error:
        raise ConfigurationError(f"SECRET is not set, and {file} can't be kept instead: {error.strerror}") from None
    if len(kept) < SECRET_BYTES:
        raise ConfigurationError(f"{file} holds no secret: remove it to have one made, or set SECRET")
    return kept


def _write_secret_file(file: Path, secret: str) -> None:
    """Writes a file for its owner's eyes only; it is there whole or not at all, and the first of several stays."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
        written.write(secret)
    with suppress(FileExistsError):
        os.link(draft, file)
    draft.unlink()
