"""Settings from the environment and `.env`, under Directus' names where it has them."""

import os
import re
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.core.auth_providers import load_providers, unencrypted_connections
from app.core.env_file import ENCODING, ENV_FILE, find_misspelled, read_names
from app.core.errors import OperatorError
from app.core.hash_parameters import MAX_PASSWORD_HISTORY, MAX_PASSWORD_LENGTH, HashCost
from app.core.ip_addresses import ProxyTrust, parse_proxy_trust
from app.core.passkey_settings import PasskeySettings, passkey_settings
from app.core.provider_settings import PREFIX, ProviderSettings
from app.core.values import parse_duration, parse_size

SQLITE_URL_PREFIX = "sqlite+aiosqlite:///"
LOCAL_LOCATION = "local"
SECRET_BYTES = 32
MIN_HASH_KIB_PER_THREAD = 8
"""KiB of memory that argon2 needs per thread."""
PUBLIC_URL_PATTERN = re.compile(r"https?://[^/]", re.IGNORECASE)
MAX_DB_TIMEOUT = 3600
"""Upper bound of the time limits of the database, in seconds."""
TRANSACTION_POOLER = "transaction"
"""The mode of a connection pooler in which each transaction may run in another session of the database."""
MAX_HTTP_TIMEOUT = 3600
"""Upper bound of the time limits of requests, in seconds."""
ORIGIN_PATTERN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?", re.ASCII)
"""An origin as browsers send it, also that of an app."""
DIRECTUS_URL_PATTERN = re.compile(r"https?://[a-z0-9.\[\]:_-]+(/[!-~]*)?", re.ASCII | re.IGNORECASE)
"""A URL without a user name."""
MAX_DIRECTUS_URL_LENGTH = 255
"""The length of the column that stores it."""
TOKEN_PATTERN = re.compile(r"[!-~]+", re.ASCII)
"""A token that can be sent in a header."""
REDIRECT_PATTERN = re.compile(r"(https?://[!-~]+|\.{0,2}/(?![/\\])[!-~]+)", re.ASCII)
"""A URL, or a path on this server; two leading slashes would lead to another server."""


def _parsed_from_str(parse: Any) -> BeforeValidator:
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


def _parse_list(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (item.strip() for item in text.split(","))))


def _parse_origins(text: str) -> bool | tuple[str, ...]:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for origin in (origins := _parse_list(text)):
        if not ORIGIN_PATTERN.fullmatch(origin):
            raise ValueError(
                "must be true, false, or comma-separated origins without a path, such as https://app.example.com"
            )
    return origins


def _parse_directus_urls(text: str) -> tuple[str, ...]:
    if text.lower() == "false":
        return ()
    urls = tuple(dict.fromkeys(url.rstrip("/") for url in _parse_list(text)))
    for url in urls:
        is_base = DIRECTUS_URL_PATTERN.fullmatch(url) and not {"?", "#"} & set(url)
        if not is_base or len(url) > MAX_DIRECTUS_URL_LENGTH:
            raise ValueError(
                "must be false, or comma-separated URLs such as http://directus:8055, without a user name or query, "
                f"each of at most {MAX_DIRECTUS_URL_LENGTH} characters"
            )
    return urls


def _parse_redirect(text: str) -> str | None:
    if text.lower() == "false":
        return None
    if not REDIRECT_PATTERN.fullmatch(text):
        raise ValueError("must be false, a path such as ./admin, or a URL")
    return text


def _parse_row_limit(value: Any) -> Any:
    return None if value == "-1" else value


Duration = Annotated[timedelta, _parsed_from_str(parse_duration)]
Size = Annotated[int, _parsed_from_str(parse_size)]
Proxies = Annotated[ProxyTrust, NoDecode, _parsed_from_str(parse_proxy_trust)]
Origins = Annotated[bool | tuple[str, ...], NoDecode, _parsed_from_str(_parse_origins)]
CommaSeparated = Annotated[tuple[str, ...], NoDecode, _parsed_from_str(_parse_list)]
DirectusUrls = Annotated[tuple[str, ...] | None, NoDecode, _parsed_from_str(_parse_directus_urls)]
RedirectTarget = Annotated[str | None, _parsed_from_str(_parse_redirect)]
SameSite = Literal["lax", "strict", "none"]
RowLimit = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_parse_row_limit)]


class ConfigurationError(OperatorError):
    """An invalid setting. The message names the setting and the values it accepts."""


class Settings(BaseSettings):
    """All settings of the server."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_file_encoding=ENCODING,
        env_ignore_empty=True,  # an empty SECRET would sign tokens with an empty key
        extra="ignore",
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
    )

    database_url: str = Field(
        SQLITE_URL_PREFIX + "data/rollcall.db",
        repr=False,
        description="The database: `sqlite+aiosqlite:///FILE` or `postgresql+asyncpg://USER:PASSWORD@HOST/NAME`, which "
        "may name several servers as `HOST:PORT,HOST:PORT`",
    )
    secret: SecretStr | None = Field(
        None,
        description="The key that signs access tokens; use Directus' to accept its tokens. If unset, one is generated "
        "and stored in a file `secret`, next to the SQLite file or in `data`",
    )
    host: str = Field("127.0.0.1", description="The address to listen on")
    port: int = Field(8055, ge=0, le=65535, description="The port to listen on")
    public_url: str | None = Field(
        None,
        description="The URL at which clients reach the server; the base of links in emails, and an origin whose pages "
        "may send cookies",
    )
    root_redirect: RedirectTarget = Field(
        None,
        description="Where `/` redirects to: a path, such as `./admin`, or a URL below PUBLIC_URL; `false` disables "
        "it. The default is the Studio, if it is served",
    )
    studio: bool = Field(True, description="Whether to serve the Studio, the web interface, at `/admin`")
    cors_enabled: bool = Field(False, description="Whether to answer cross-origin requests with CORS headers")
    cors_origin: Origins = Field(
        False,
        description="Allowed origins: `false` for none, `true` for all, or origins such as `https://app.example.com`, "
        "comma-separated",
    )
    cors_methods: CommaSeparated = Field(
        ("GET", "POST", "PATCH", "DELETE", "SEARCH"), description="HTTP methods that cross-origin requests may use"
    )
    cors_allowed_headers: CommaSeparated = Field(
        ("Content-Type", "Authorization"), description="Headers that cross-origin requests may send"
    )
    cors_exposed_headers: CommaSeparated = Field(
        ("Content-Disposition", "Retry-After", "X-Request-Id"),
        description="Response headers that pages of other origins may read",
    )
    cors_credentials: bool = Field(
        True, description="Whether cross-origin requests may carry cookies; ignored if all origins are allowed"
    )
    cors_max_age: int = Field(18000, ge=0, description="Seconds for which browsers may cache a preflight response")
    hsts_enabled: bool = Field(
        False, description="Whether to send Strict-Transport-Security, so that browsers use HTTPS only"
    )
    hsts_max_age: int = Field(15_552_000, ge=0, description="Seconds for which browsers remember to use HTTPS only")
    admin_email: str = Field("admin@example.com", description="The first admin's email address")
    admin_password: SecretStr | None = Field(
        None, max_length=1024, description="The first admin's password; if unset, one is generated and printed once"
    )
    admin_token: SecretStr | None = Field(
        None, max_length=255, description="The first admin's static token; if unset, it has none"
    )
    access_token_ttl: Duration = Field(timedelta(minutes=15), description="Lifetime of an access token")
    refresh_token_ttl: Duration = Field(timedelta(days=7), description="Lifetime of a refresh token")
    last_access_interval: Duration = Field(
        timedelta(minutes=1), description="How often users' `last_access` is saved; 0 disables it"
    )
    login_stall_time: Duration = Field(
        timedelta(milliseconds=500), description="Minimum duration of a login request, whether it succeeds or fails"
    )
    register_stall_time: Duration = Field(
        timedelta(milliseconds=750),
        description="Minimum duration of a registration request, whether it succeeds or fails",
    )
    login_lockout_ttl: Duration = Field(
        timedelta(minutes=15),
        description="For how long failed logins count, and so the maximum time for which an IP address is locked out "
        "of an account",
    )
    auth_providers: Annotated[tuple[ProviderSettings, ...], NoDecode] = Field(
        (),
        description="Names of the providers that users can sign in with, comma-separated; each has settings of its "
        "own, `AUTH_<NAME>_…`",
    )
    auth_disable_default: bool = Field(False, description="Whether to disable login with a password")
    passkeys_enabled: bool = Field(
        True,
        description="Whether users can register passkeys and sign in with them; that needs a PUBLIC_URL with HTTPS and "
        "a domain name, or `localhost`",
    )
    passkey_rp_id: str | None = Field(
        None,
        description="The domain that passkeys belong to, the host of PUBLIC_URL or a domain above it. The default is "
        "that host; another value later makes all passkeys unusable",
    )
    passkey_origins: CommaSeparated = Field(
        (),
        description="Origins of pages other than PUBLIC_URL that may use passkeys, such as `https://app.example.com`, "
        "comma-separated; below the domain of the passkeys",
    )
    refresh_token_store: Literal["plain", "hashed"] = Field(
        "plain",
        description="How refresh tokens are stored: `plain`, as in Directus, or `hashed`, so that reading the database "
        "does not reveal them",
    )
    refresh_token_cookie_name: str = Field("directus_refresh_token", description="Name of the refresh token cookie")
    refresh_token_cookie_secure: bool = Field(
        False, description="Whether the refresh token cookie is only sent over HTTPS"
    )
    refresh_token_cookie_same_site: SameSite = Field(
        "lax", description="SameSite attribute of the refresh token cookie"
    )
    refresh_token_cookie_domain: str | None = Field(None, description="Domain of the refresh token cookie")
    session_cookie_name: str = Field("directus_session_token", description="Name of the session cookie")
    session_cookie_secure: bool = Field(False, description="Whether the session cookie is only sent over HTTPS")
    session_cookie_same_site: SameSite = Field("lax", description="SameSite attribute of the session cookie")
    session_cookie_domain: str | None = Field(None, description="Domain of the session cookie")
    session_cookie_ttl: Duration = Field(timedelta(days=1), description="Lifetime of a session that is not refreshed")
    session_refresh_grace_period: Duration = Field(
        timedelta(seconds=10), description="How long a session's old token remains valid after a refresh"
    )
    user_invite_token_ttl: Duration = Field(timedelta(days=7), description="Lifetime of an invitation")
    user_invite_url_allow_list: CommaSeparated = Field(
        (), description="URLs that invitation links may lead to, comma-separated"
    )
    password_reset_url_allow_list: CommaSeparated = Field(
        (), description="URLs that password reset links may lead to, comma-separated"
    )
    user_register_url_allow_list: CommaSeparated = Field(
        (), description="URLs that email verification links may lead to, comma-separated"
    )
    email_verification_token_ttl: Duration = Field(
        timedelta(days=7), description="Lifetime of a registration's email verification link"
    )
    password_min_length: int = Field(
        0,
        ge=0,
        le=MAX_PASSWORD_LENGTH,
        description="Minimum number of characters of a new password; 0 for no minimum",
    )
    password_reject_common: bool = Field(
        False, description="Whether to refuse a new password that is one of the 30,000 most common ones"
    )
    password_history: int = Field(
        0,
        ge=0,
        le=MAX_PASSWORD_HISTORY,
        description="How many of their last passwords users can't choose again, the current one included; 0 for none",
    )
    hash_memory_cost: int = Field(65536, ge=8, description="KiB of memory used to hash a password")
    hash_time_cost: int = Field(3, ge=1, description="Number of passes over that memory")
    hash_parallelism: int = Field(
        4, ge=1, le=255, description="Threads used to hash a password; each needs at least 8 KiB"
    )
    email_transport: Literal["log", "smtp"] = Field(
        "log", description="How emails are sent: by `smtp`, or only written to the `log`, including their links"
    )
    email_from: str = Field("no-reply@example.com", description="Sender address of emails")
    email_min_interval: Duration = Field(
        timedelta(minutes=1),
        ge=timedelta(0),
        le=timedelta(days=1),
        description="Minimum time between two mails of the same kind to one address; requests meanwhile succeed, but "
        "send none. 0 disables it",
    )
    email_templates_path: Path | None = Field(
        None, description="A directory of templates that override the built-in ones"
    )
    email_smtp_host: str = Field("localhost", description="Host of the SMTP server")
    email_smtp_port: int = Field(587, ge=1, le=65535, description="Port of the SMTP server")
    email_smtp_user: str | None = Field(None, description="User name for the SMTP server")
    email_smtp_password: SecretStr | None = Field(None, description="Password for the SMTP server")
    email_smtp_secure: bool = Field(False, description="Whether to use TLS from the start of the connection")
    email_smtp_ignore_tls: bool = Field(False, description="Whether to not use TLS even if the server offers STARTTLS")
    email_smtp_name: str | None = Field(None, description="Host name to send in EHLO")
    rate_limiter_enabled: bool = Field(False, description="Whether to limit the requests of each IP address")
    rate_limiter_points: int = Field(50, ge=1, description="Requests allowed per IP address and RATE_LIMITER_DURATION")
    rate_limiter_duration: int = Field(1, ge=1, description="Window of that limit in seconds")
    rate_limiter_global_enabled: bool = Field(
        False, description="Whether to limit the requests of all clients together"
    )
    rate_limiter_global_points: int = Field(1000, ge=1, description="Requests allowed per RATE_LIMITER_GLOBAL_DURATION")
    rate_limiter_global_duration: int = Field(1, ge=1, description="Window of that limit in seconds")
    rate_limiter_registration_enabled: bool = Field(
        True, description="Whether to limit the registrations of each IP address"
    )
    rate_limiter_registration_points: int = Field(
        5, ge=1, description="Registrations allowed per IP address and RATE_LIMITER_REGISTRATION_DURATION"
    )
    rate_limiter_registration_duration: int = Field(60, ge=1, description="Window of that limit in seconds")
    rate_limiter_store: Literal["memory", "redis"] = Field(
        "memory",
        description="Where requests are counted: in the `memory` of each process, or in `redis` for all of them",
    )
    redis: str = Field("redis://127.0.0.1:6379", repr=False, description="URL of the Redis server")
    access_expiry_notice: Duration = Field(
        timedelta(days=3),
        ge=timedelta(0),
        le=timedelta(days=365),
        description="How long before an access row expires its user gets a mail; 0 for never",
    )
    activity_retention: Duration | None = Field(None, description="How long activity is stored; unlimited if unset")
    revisions_retention: Duration | None = Field(None, description="How long revisions are stored; unlimited if unset")
    query_limit_default: int = Field(100, ge=1, description="Rows of a list whose query has no limit")
    query_limit_max: RowLimit = Field(None, description="Maximum number of rows of a list; -1 for no limit")
    max_relational_depth: int = Field(10, ge=2, description="Maximum number of fields in a path through relations")
    query_max_fields: int = Field(
        1500, ge=100, description="Maximum number of fields that a query selects, after the expansion of wildcards"
    )
    query_max_filter_parts: int = Field(
        500,
        ge=10,
        description="Maximum number of comparisons, relations, `_and` and `_or` in the filters of a query, and in a "
        "permission's rule, which otherwise grants nothing",
    )
    query_max_filter_depth: int = Field(32, ge=4, description="Maximum number of nested objects in such a filter")
    query_max_list_items: int = Field(
        10_000, ge=100, description="Maximum number of items in all lists of such a filter, and in a list of names"
    )
    query_max_sort_keys: int = Field(50, ge=1, description="Maximum number of keys by which a query sorts")
    max_batch_mutation: RowLimit = Field(
        None, description="Maximum number of rows that a mutation writes; -1 for no limit"
    )
    max_passwords_per_request: int = Field(
        100,
        ge=1,
        description="Maximum number of passwords that one request sets; hashing each takes time",
    )
    users_admin_access_limit: int | None = Field(None, ge=0, description="Maximum number of active admins")
    users_app_access_limit: int | None = Field(
        None, ge=0, description="Maximum number of active users with app access, not counting admins"
    )
    users_api_access_limit: int | None = Field(
        None, ge=0, description="Maximum number of active users with neither admin nor app access"
    )
    max_payload_size: Size = Field(1024**2, description="Maximum size of a request body")
    max_payload_values: int = Field(
        20_000, ge=1000, description="Maximum number of values in a JSON body, objects and lists included"
    )
    graphql_introspection: bool = Field(True, description="Whether the GraphQL schema can be introspected")
    graphql_plans: bool = Field(
        True, description="Whether to answer known queries from cached plans; `false` is only for comparison"
    )
    graphql_query_token_limit: int = Field(
        5000, ge=100, description="Maximum number of tokens in a GraphQL document, including comments"
    )
    storage_locations: Annotated[CommaSeparated, Field(min_length=1)] = Field(
        ("local",),
        description="Name of the storage location, as stored in the rows of files; if there are several, the first is "
        "used",
    )
    storage_local_driver: Literal["local", "s3"] = Field(
        "local", description="Type of the storage: a `local` directory or an `s3` bucket"
    )
    storage_local_root: Path = Field(Path("uploads"), description="The directory; with `s3`, a prefix of all names")
    storage_local_key: SecretStr | None = Field(None, description="Access key for `s3`")
    storage_local_secret: SecretStr | None = Field(None, description="Secret access key for `s3`")
    storage_local_bucket: str | None = Field(None, description="Name of the bucket")
    storage_local_region: str | None = Field(None, description="Region of the bucket")
    storage_local_endpoint: str | None = Field(
        None, description="URL of an S3-compatible server, unless Amazon S3 is used"
    )
    storage_local_force_path_style: bool = Field(
        False, description="Whether the bucket name is in the path of URLs instead of the host"
    )
    files_max_upload_size: Size = Field(100 * 1024**2, ge=1, description="Maximum size of an uploaded file")
    files_mime_type_allow_list: CommaSeparated = Field(
        ("*/*",), description="Media types that may be uploaded, such as `image/*`, comma-separated"
    )
    assets_cache_ttl: Duration = Field(
        timedelta(0), description="How long caches may serve public assets without revalidation; 0 disables it"
    )
    compatibility: Literal["10"] | None = Field(
        None, description="`10` for clients of Directus 10: roles have their access flags, and permissions their role"
    )
    extensions: CommaSeparated = Field(
        (), description="Python modules with extensions, comma-separated, besides those of installed packages"
    )
    policy_tests: Path | None = Field(
        None,
        description="A file, or a folder, with tests of policies that must pass after every change of roles, policies, "
        "access rows and permissions; a change with which one fails is refused",
    )
    directus_url: DirectusUrls = Field(
        None,
        description="URLs of the nodes of a Directus on the same database, comma-separated, whose caches are cleared "
        "when access rights change; `false` if there is none",
    )
    directus_token: SecretStr | None = Field(
        None, min_length=1, description="The static token of an admin, with which these caches are cleared"
    )
    ip_trust_proxy: Proxies = Field(
        False, description="Proxies whose X-Forwarded-For is trusted: `false`, `true`, a number of proxies, or networks"
    )
    log_level: Literal["debug", "info", "warn", "error"] = Field("info", description="Minimum level of logged events")
    log_style: Literal["raw", "pretty"] = Field(
        "raw", description="Log lines as JSON (`raw`) or in readable form (`pretty`)"
    )
    metrics_token: SecretStr | None = Field(
        None,
        min_length=16,
        description="The token with which `/metrics` serves metrics for Prometheus; if neither it nor "
        "METRICS_PORT is set, there are none",
    )
    metrics_port: int | None = Field(
        None, ge=1, le=65535, description="A port of their own for metrics, where they need no token"
    )
    metrics_host: str = Field("127.0.0.1", description="The address at which METRICS_PORT is")
    traces_enabled: bool = Field(
        False,
        description="Whether to send traces with OpenTelemetry, which reads its own variables `OTEL_*`; needs "
        "`rollcall[otel]`",
    )
    db_pool_size: int = Field(
        16,
        ge=1,
        description="Maximum number of read connections. A process opens at most 14 others; on SQLite it "
        "opens at most 3 for reads and 2 for writes",
    )
    db_pooler: Literal["transaction"] | None = Field(
        None,
        description="`transaction` if DATABASE_URL leads to PgBouncer with `pool_mode = transaction`; unset without a "
        "pooler, or with `pool_mode = session`",
    )
    database_replica_urls: CommaSeparated = Field(
        (),
        repr=False,
        description="URLs of streaming replicas of a PostgreSQL database, comma-separated, that serve reads as long as "
        "no right is stale there",
    )
    db_replica_pooler: Literal["transaction"] | None = Field(
        None,
        description="`transaction` if DATABASE_REPLICA_URLS lead to PgBouncer with `pool_mode = transaction`, which "
        "DB_POOLER says of DATABASE_URL alone",
    )
    db_queue_size: int = Field(1000, ge=1, description="Maximum number of requests that wait for a read connection")
    db_queue_timeout: float = Field(5.0, gt=0, description="Maximum seconds a request waits for a read connection")
    db_statement_timeout: float = Field(
        10.0, gt=0, le=MAX_DB_TIMEOUT, description="Maximum seconds a read statement may take"
    )
    db_write_statement_timeout: float = Field(
        5.0,
        gt=0,
        le=MAX_DB_TIMEOUT,
        description="Maximum seconds a statement of a write may take, including the one that reads its result; other "
        "writes may wait for it",
    )
    db_transaction_timeout: float = Field(
        60.0, gt=0, le=MAX_DB_TIMEOUT, description="Maximum seconds a write may take, and a statement of retention"
    )
    http_head_timeout: float = Field(
        10.0, gt=0, le=MAX_HTTP_TIMEOUT, description="Maximum seconds that the head of a request may take to arrive"
    )
    http_body_timeout: float = Field(
        10.0,
        gt=0,
        le=MAX_HTTP_TIMEOUT,
        description="Seconds between two checks that enough of a body has arrived",
    )
    http_body_min_rate: int = Field(
        500, ge=1, description="Minimum rate in bytes per second at which a body has to arrive"
    )
    websockets_enabled: bool = Field(
        False, description="Whether realtime is served, over WebSocket and as server-sent events, and events captured"
    )
    websockets_graphql_enabled: bool = Field(True, description="Whether /graphql/system serves GraphQL subscriptions")
    websockets_graphql_auth: Literal["public", "handshake", "strict"] = Field(
        "handshake",
        description="When clients authenticate: with the first message if they want (`public`), with the first message "
        "(`handshake`), or when they connect (`strict`)",
    )
    websockets_graphql_auth_timeout: int = Field(10, ge=1, description="Maximum seconds until the first message")
    websockets_graphql_conn_limit: int = Field(
        1000, ge=1, description="Maximum number of its connections and streams per process"
    )
    websockets_rest_enabled: bool = Field(True, description="Whether /websocket serves the SDK's `realtime()`")
    websockets_rest_auth: Literal["public", "handshake", "strict"] = Field(
        "handshake", description="The same as WEBSOCKETS_GRAPHQL_AUTH for /websocket"
    )
    websockets_rest_auth_timeout: int = Field(
        10, ge=1, description="Maximum seconds until the first message, and until an expired token is renewed"
    )
    websockets_rest_conn_limit: int = Field(1000, ge=1, description="Maximum number of its connections per process")
    websockets_heartbeat_enabled: bool = Field(True, description="Whether /websocket sends pings as messages")
    websockets_heartbeat_period: int = Field(30, ge=1, description="Seconds between two pings of a connection")
    websockets_user_conn_limit: int = Field(
        50, ge=1, description="Maximum number of connections per process of one user, or of one IP address without one"
    )
    websockets_max_subscriptions: int = Field(100, ge=1, description="Maximum number of subscriptions of a connection")
    websockets_max_rows: int = Field(
        10_000, ge=1, description="Maximum number of rows that a subscription sees, except those of admins"
    )
    websockets_max_total_rows: int = Field(
        2_000_000,
        ge=1,
        description="Maximum number of rows that all subscriptions of a process see; one user, or one IP address "
        "without one, may have a tenth. A row takes about 180 bytes, and 60 more for each other view that shows it",
    )
    websockets_max_message_size: int = Field(
        65_536, ge=1024, description="Maximum size of a message of a client in bytes"
    )
    websockets_max_messages: int = Field(50, ge=1, description="Maximum number of messages of a client per second")
    websockets_max_queue: int = Field(
        1000, ge=1, description="Maximum number of messages that wait for a slow client before it is disconnected"
    )
    max_connections: int = Field(
        5000,
        ge=10,
        description="Maximum number of connections of clients to a process; beyond it, those that are slow to send are "
        "closed",
    )
    max_concurrent_requests: int = Field(
        200, ge=8, description="Maximum number of requests that a process answers at once; sign-ins are counted apart"
    )
    max_queued_requests: int = Field(
        1000, ge=1, description="Maximum number of requests that wait for that; more are rejected with 503"
    )
    request_queue_timeout: float = Field(
        5.0, gt=0, le=MAX_HTTP_TIMEOUT, description="Maximum seconds a request waits for that"
    )
    shutdown_delay: float = Field(
        0.0,
        ge=0,
        le=MAX_HTTP_TIMEOUT,
        description="Seconds for which requests are still accepted after SIGTERM, while `/server/ready` is 503; a load "
        "balancer has to notice that sooner",
    )
    shutdown_timeout: int = Field(
        10, ge=0, description="Maximum seconds to wait for running requests when the server stops"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the settings whose names contain that of a storage location or of an authentication provider."""
        sources = [source for source in (env_settings, dotenv_settings) if isinstance(source, EnvSettingsSource)]
        locations = (source.env_vars.get("storage_locations") for source in sources)
        location = _parse_list(next(filter(None, locations), LOCAL_LOCATION))[:1]
        for source in sources:
            source.env_vars = _alias_storage_variables(source.env_vars, *location)
        providers = InitSettingsSource(settings_cls, {"auth_providers": _provider_variables(sources)})
        return init_settings, providers, env_settings, dotenv_settings, file_secret_settings

    @property
    def root_target(self) -> str | None:
        """Where `/` redirects to, if anywhere."""
        if self.root_redirect is None and "root_redirect" not in self.model_fields_set and self.studio:
            return "./admin"
        return self.root_redirect

    @property
    def has_metrics(self) -> bool:
        """Whether metrics are exposed."""
        return self.metrics_token is not None or self.metrics_port is not None

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is an SQLite file."""
        return self.database_url.startswith("sqlite")

    @property
    def storage_location(self) -> str:
        """Name of the storage location in use."""
        return self.storage_locations[0]

    @property
    def passkeys(self) -> PasskeySettings | None:
        """The relying party of passkeys; None if no user can sign in with one."""
        if not self.passkeys_enabled or self.auth_disable_default:
            return None
        return passkey_settings(self.public_url, self.passkey_rp_id, self.passkey_origins)

    @property
    def hash_cost(self) -> HashCost:
        """The cost of hashing a password."""
        return HashCost(self.hash_memory_cost, self.hash_time_cost, self.hash_parallelism)

    @model_validator(mode="before")
    @classmethod
    def _load_auth_providers(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Replace the variables of the providers by their settings; an error names the variable by itself."""
        variables = values.get("auth_providers")
        if not isinstance(variables, Mapping):
            return values
        names = _parse_list(variables.get("auth_providers") or "")
        return {**values, "auth_providers": load_providers(names, variables)}

    @model_validator(mode="after")
    def _check_auth_providers(self) -> Self:
        if self.auth_providers and not self.public_url:
            raise ValueError("PUBLIC_URL: must be set, because AUTH_PROVIDERS is and providers redirect to it")
        return self

    @model_validator(mode="after")
    def _check_passkeys(self) -> Self:
        for origin in self.passkey_origins:
            if not ORIGIN_PATTERN.fullmatch(origin):
                raise ValueError("PASSKEY_ORIGINS: must be origins such as https://app.example.com")
        _ = self.passkeys
        return self

    @model_validator(mode="after")
    def _check_root_redirect(self) -> Self:
        target = self.root_redirect or ""
        if target.startswith("http") and (
            not self.public_url or not target.startswith(f"{self.public_url.rstrip('/')}/")
        ):
            raise ValueError("ROOT_REDIRECT: a URL must be below PUBLIC_URL")
        return self

    @model_validator(mode="after")
    def _check_directus_token(self) -> Self:
        token = self.directus_token.get_secret_value() if self.directus_token else None
        if self.directus_url and token is None:
            raise ValueError("DIRECTUS_TOKEN: must be set, because DIRECTUS_URL is")
        if token is not None and self.directus_url is None:
            raise ValueError("DIRECTUS_URL: must be set, because DIRECTUS_TOKEN is")
        if token is not None and not TOKEN_PATTERN.fullmatch(token):
            raise ValueError("DIRECTUS_TOKEN: must consist of ASCII characters without spaces")
        return self

    @model_validator(mode="after")
    def _check_metrics(self) -> Self:
        if self.metrics_token is not None and self.metrics_port is not None:
            raise ValueError("METRICS_TOKEN: protects /metrics at PORT, but not METRICS_PORT; set only one of them")
        if self.metrics_token is not None and not TOKEN_PATTERN.fullmatch(self.metrics_token.get_secret_value()):
            raise ValueError("METRICS_TOKEN: must consist of ASCII characters without spaces")
        return self

    @model_validator(mode="after")
    def _check_hash_memory(self) -> Self:
        min_kib = MIN_HASH_KIB_PER_THREAD * self.hash_parallelism
        if self.hash_memory_cost < min_kib:
            raise ValueError(f"HASH_MEMORY_COST: {self.hash_parallelism} threads need at least {min_kib} KiB")
        return self


def _alias_storage_variables(
    variables: Mapping[str, str | None], location: str = LOCAL_LOCATION
) -> Mapping[str, str | None]:
    """Return the variables with those of `location` under the names of `local`, whose own variables are dropped."""
    if (name := location.lower()) == LOCAL_LOCATION:
        return variables
    local_prefix, prefix = f"storage_{LOCAL_LOCATION}_", f"storage_{name}_"
    others = {key: value for key, value in variables.items() if not key.startswith(local_prefix)}
    aliases = {local_prefix + key.removeprefix(prefix): variables[key] for key in variables if key.startswith(prefix)}
    return others | aliases


def _provider_variables(sources: Sequence[EnvSettingsSource]) -> dict[str, str | None]:
    """Return the variables of the authentication providers; those of the first source count."""
    merged = {name: value for source in reversed(sources) for name, value in source.env_vars.items() if value}
    return {name: value for name, value in merged.items() if name.upper().startswith(PREFIX)}


def load_settings() -> Settings:
    """Return the settings of the environment and `.env`.

    Raises:
        ConfigurationError: Settings are invalid, or on PostgreSQL unsafe; the message names each of them, and no value.
        EnvFileError: `.env` cannot be read.
    """
    read_names()
    try:
        settings = Settings()
    except ValidationError as error:
        problems = (": ".join([*(str(part).upper() for part in item["loc"]), item["msg"]]) for item in error.errors())
        raise ConfigurationError("; ".join(problems).replace("Value error, ", "")) from None
    if not settings.is_sqlite and (unsafe := _unsafe_settings(settings)):
        raise ConfigurationError("; ".join(unsafe))
    return settings


def setting_warnings(settings: Settings) -> list[str]:
    """Return what is probably a mistake in the settings or in the names of the environment and `.env`; no value."""
    names = sorted({*os.environ, *read_names()})
    misspelled = find_misspelled(names, [name.upper() for name in Settings.model_fields])
    return [
        *_unsafe_settings(settings),
        *unencrypted_connections(settings.auth_providers),
        *(f"{name} is not a setting. Did you mean {setting}?" for name, setting in misspelled.items()),
    ]


def _unsafe_settings(settings: Settings) -> list[str]:
    problems = []
    if settings.secret is not None and len(settings.secret.get_secret_value()) < SECRET_BYTES:
        problems.append(
            f"SECRET: should be at least {SECRET_BYTES} random characters, as from `openssl rand -hex {SECRET_BYTES}`"
        )
    if settings.public_url and not PUBLIC_URL_PATTERN.match(settings.public_url):
        problems.append("PUBLIC_URL: should start with https:// or http://")
    return problems


def signing_secret(settings: Settings) -> str:
    """Return the secret that signs tokens: SECRET, or the content of a secret file, which is created if missing.

    The file is `secret` next to an SQLite database, otherwise `data/secret`.

    Raises:
        ConfigurationError: The file cannot be read or written, or contains no secret.
    """
    if settings.secret is not None:
        return settings.secret.get_secret_value()
    folder = Path(settings.database_url.partition(":///")[2]).parent if settings.is_sqlite else Path("data")
    file = folder / "secret"
    try:
        if not file.exists():
            _write_secret_file(file, secrets.token_urlsafe(SECRET_BYTES))
        secret = file.read_text().strip()
    except OSError as error:
        raise ConfigurationError(
            f"SECRET is not set, and its file {file} cannot be used: {error.strerror}. Set SECRET"
        ) from None
    if len(secret) < SECRET_BYTES:
        raise ConfigurationError(f"{file} contains no secret: remove it to generate one, or set SECRET")
    return secret


def _write_secret_file(file: Path, secret: str) -> None:
    """Write a file that only its owner may read, atomically; an existing file is not replaced."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        output.write(secret)
    with suppress(FileExistsError):
        os.link(draft, file)
    draft.unlink()
