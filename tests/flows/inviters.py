"""Users with permission to invite, links as they are mailed, and what can be observed in the database.

Hal may create users with an email and a role, which get the preset status "draft"; he may not update users. Gil may not
assign a role. Una has registered but is not verified.
"""

from datetime import timedelta
from typing import Any

from jose import jwt
from sqlalchemy import select, update

from app.core.caller import SYSTEM
from app.core.clock import utc_now
from app.core.config import signing_secret
from app.core.email_links import EmailLink, LinkPurpose, sign_link_token
from app.db.models import ATTEMPTS, OUTBOX, User
from app.testing import TestSystem
from tests.base_data import Rows, make_access, make_policy, make_role, make_user, uid
from tests.writes.editors import checksum, make_permission

SETTINGS_OVERRIDES = {
    "user_invite_url_allow_list": ("http://127.0.0.1:3000/accept", "https://app.example.com/accept"),
    "user_register_url_allow_list": ("http://127.0.0.1:3000/accept", "https://app.example.com/accept"),
    "password_reset_url_allow_list": ("http://127.0.0.1:3000/accept", "https://app.example.com/accept"),
    "login_stall_time": timedelta(0),
    "register_stall_time": timedelta(0),
    "rate_limiter_registration_enabled": False,
}

INVITER_ROWS: Rows = {
    "directus_roles": [make_role("Host"), make_role("Greeter")],
    "directus_users": [
        make_user("hal", "Host"),
        make_user("gil", "Greeter"),
        make_user("una", None, status="unverified"),
        make_user("pip", None, status="suspended"),
    ],
    "directus_policies": [make_policy("Hosts"), make_policy("Greeters")],
    "directus_access": [make_access("Hosts", role="Host"), make_access("Greeters", role="Greeter")],
    "directus_permissions": [
        make_permission(400, "Hosts", "create", "users", "email,role")
        | {"presets": {"status": "draft", "language": "de-DE", "role": "$CURRENT_ROLE"}},
        make_permission(401, "Greeters", "create", "users", "email"),
        make_permission(402, "Greeters", "delete", "users", None, permissions={"role": {"_null": True}}),
    ],
}

ALLOWED_URLS = [
    "http://127.0.0.1:3000/accept",
    "http://127.0.0.1:3000/accept?a=b#frag",
    "HTTP://127.0.0.1:3000/accept",
    "https://APP.Example.com/accept",
    "https://app.example.com:443/accept?next=http://evil.example",
]
INVALID_PASSWORDS = [
    ("", "FAILED_VALIDATION"),
    ("short", "FAILED_VALIDATION"),
    ("with a \0 in it", "INVALID_PAYLOAD"),
    ("*" * 10, "INVALID_PAYLOAD"),
    ("x" * 1024**2, "VALUE_TOO_LONG"),
]
"""Passwords that a policy of at least eight characters rejects, each with its error code."""
REJECTED_URLS = [
    "nope",
    "http://evil.example/accept",
    "http://127.0.0.1:3000/accept.evil.example",
    "http://127.0.0.1:3000/accept/sub",
    "http://127.0.0.1:3000/accept/",
    "http://127.0.0.1:3000/Accept",
    "http://127.0.0.1:3000/accept/../accept",
    "http://127.0.0.1:3000.evil.example/accept",
    "http://127.0.0.1:3001/accept",
    "http://127.0.0.1/accept",
    "https://127.0.0.1:3000/accept",
    "http://user:pass@127.0.0.1:3000/accept",
    "http://127.0.0.1:3000@evil.example/accept",
    "http://evil.example\\@127.0.0.1:3000/accept",
    "http:\\\\127.0.0.1:3000\\accept",
    "http://127.0.0.1:3000/accept\n",
    " http://127.0.0.1:3000/accept",
    "http://127.0.0.1:3000/accept\0",
    "//127.0.0.1:3000/accept",
    "javascript://127.0.0.1:3000/accept",
    "https://аpp.example.com/accept",  # noqa: RUF001 - a Cyrillic letter
    "https://app.example.com.evil.example/accept",
    "http://127.0.0.1:3000/accept?" + "x" * 10_000,
]
LOOKALIKE_EMAILS = [
    "vі@example.com",  # noqa: RUF001 - a Cyrillic letter
    "vi@exаmple.com",  # noqa: RUF001 - a Cyrillic letter
    "ví@example.com",
    "vi\u0301@example.com",
    "vı@example.com",  # noqa: RUF001 - a Turkish letter
    "vi@example.com.evil.example",
    "vi@example.com\0",
    "vi@example.com ",
    "vi @example.com",
    "vi%",
    "vi_example.com",
    "v" * 10_000 + "@example.com",
    "nope",
    "",
]
PASSWORD = "correct, but only here"


async def queued_mails(system: TestSystem) -> list[tuple[str, str, Any]]:
    """Return the mails in the outbox in order: kind, recipient and data."""
    async with system.database.transaction() as connection:
        query = select(OUTBOX.c.kind, OUTBOX.c.recipient, OUTBOX.c.data).order_by(OUTBOX.c.id)
        return [(row[0], row[1], row[2]) for row in await connection.execute(query)]


async def snapshot(system: TestSystem) -> Any:
    """Return the state that a rejected call must not change."""
    async with system.database.transaction() as connection:
        attempts = (await connection.execute(select(ATTEMPTS).order_by(ATTEMPTS.c.subject))).all()
    return await checksum(system), await queued_mails(system), attempts


async def user_row(system: TestSystem, email: str) -> Any:
    """Return the stored row with exactly this email, or None."""
    table: Any = User.__table__
    async with system.database.transaction() as connection:
        return (await connection.execute(select(table).where(table.c.email == email))).mappings().one_or_none()


async def update_user(system: TestSystem, name: str, **values: Any) -> None:
    """Update a user directly in the database."""
    table: Any = User.__table__
    async with system.database.transaction() as connection:
        await connection.execute(update(table).where(table.c.id == uid(name)).values(values))


async def update_settings(system: TestSystem, **values: Any) -> None:
    """Update the project's settings."""
    await system.directory(SYSTEM)["settings"].upsert_singleton(values)


def link_token(
    system: TestSystem,
    purpose: LinkPurpose,
    email: str,
    user: str | None = None,
    password: str | None = None,
    hours: int = 1,
) -> str:
    """Return the token of a mailed link, which expires in this many hours; it has expired if they are negative."""
    secret, link = signing_secret(system.settings), EmailLink(purpose, email, user, password)
    return sign_link_token(secret, link, timedelta(hours=hours), utc_now())


def invalid_links(system: TestSystem, purpose: LinkPurpose, email: str, **binding: Any) -> list[tuple[str, str]]:
    """Return tokens that are each invalid for a single reason, with the expected error code."""
    valid, secret = link_token(system, purpose, email, **binding), signing_secret(system.settings)
    claims, far_expiry = jwt.get_unverified_claims(valid), {"exp": 4_000_000_000}
    header, body, signature = valid.split(".")
    other_purposes = [
        (link_token(system, other, email, **binding), "FORBIDDEN") for other in LinkPurpose if other is not purpose
    ]
    return [
        *other_purposes,
        (link_token(system, purpose, email, **binding, hours=-1), "TOKEN_EXPIRED"),
        (jwt.encode({**claims, "iss": "another issuer"}, secret), "INVALID_TOKEN"),
        (jwt.encode(claims, "another secret"), "INVALID_TOKEN"),
        (jwt.encode(claims, secret, algorithm="HS512"), "INVALID_TOKEN"),
        (jwt.encode({**far_expiry, "iss": "directus", "scope": purpose.value}, secret), "INVALID_TOKEN"),
        (jwt.encode({**far_expiry, "iss": "directus", "id": uid("ada"), "email": email}, secret), "FORBIDDEN"),
        (valid[:-5], "INVALID_TOKEN"),
        (f"{header}.{body}.", "INVALID_TOKEN"),
        (f"{header}.{body}.{signature}.{header}.{body}", "INVALID_TOKEN"),
        (f"{valid} ", "INVALID_TOKEN"),
        (f"{valid}\0", "INVALID_TOKEN"),
        ("x" * 10_000, "INVALID_TOKEN"),
        ("garbage", "INVALID_TOKEN"),
        ("", "INVALID_TOKEN"),
    ]
