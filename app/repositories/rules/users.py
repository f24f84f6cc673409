"""Rules of users: emails, passwords, roles, sessions and two-factor authentication."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar
from unicodedata import is_normalized

from sqlalchemy import delete

from app.core.email_addresses import email_spellings, is_canonical_domain
from app.core.errors import FailedValidation, Forbidden, InvalidPayload
from app.core.request_budget import RequestBudget
from app.db.models import Session
from app.passwords.hasher_pool import HashedPassword
from app.query.collection import USERS, Field
from app.query.payload import Payload, to_column_value
from app.repositories.engine.collection_rules import CollectionRules, OwnPayloads
from app.repositories.engine.context import RowValues, WriteContext
from app.repositories.engine.table import RowStore
from app.repositories.project_settings import read_password_policy
from app.repositories.references.reassignment import release_references
from app.repositories.references.user_references import UserReferences
from app.repositories.rules.password_policy import check_password, check_quality
from app.repositories.rules.password_reuse import compare_password, note_comparison
from app.repositories.services import Services
from app.repositories.stores.otp_codes import OTPStore
from app.repositories.stores.password_history import add_former_password

ID, EMAIL, PASSWORD, TFA, STATUS, ROLE = (
    USERS.fields[name] for name in ("id", "email", "password", "tfa_secret", "status", "role")
)
SIGN_IN_FIELDS = frozenset(
    USERS.fields[name]
    for name in ("email", "password", "token", "tfa_secret", "provider", "external_identifier", "auth_data")
)
"""The fields that allow their author to sign in as the user."""
TOKEN = USERS.fields["token"]
ACTIVE, INVITED, SUSPENDED, UNVERIFIED = "active", "invited", "suspended", "unverified"
MAY_LOG_IN = {ACTIVE, INVITED, UNVERIFIED}
"""The statuses of users who can log in, or can do so after following a link that was mailed to them."""
COMMON_LOCAL_PART = re.compile(r"[A-Za-z0-9_+-]{1,64}(?:\.[A-Za-z0-9_+-]{1,64}){0,3}", re.ASCII)
MAX_COMMON_EMAIL_LENGTH = 64
"""Emails up to this length with a common local part are valid if their domain is, whose check is cached."""

OWNER_CREDENTIALS_MESSAGE = "The credentials of its owner can't be changed with an API token: sign in instead"
LASTING_CREDENTIALS_MESSAGE = "A static token can't be set with an API token: sign in instead"

_SESSIONS: Any = Session.__table__


class UserRules(CollectionRules):
    """Rules of users.

    Emails are valid and passwords conform to the policy and are hashed. A changed role, status or sign-in field is
    noted for the checks at the end of the transaction. A new password or a status other than active ends the user's
    sessions; a new TFA secret deletes the recovery codes.
    """

    slow_field: ClassVar[Field | None] = PASSWORD

    async def prepare(
        self, payloads: Sequence[Payload], own: OwnPayloads, services: Services, budget: RequestBudget
    ) -> None:
        budget.spend_hashes(sum(payload.values[PASSWORD] is not None for payload in payloads))
        policy = await read_password_policy(services)
        for payload in payloads:
            await check_password(payload.values[PASSWORD], policy, services, budget, payload.path)
        for payload in payloads:
            password = payload.values[PASSWORD]
            author = own.author_of(payload) if services.settings.password_history else None
            if password is not None and author is not None:
                payload.values[PASSWORD] = await compare_password(password, author, services, budget, payload.path)
            elif password is not None:
                payload.values[PASSWORD] = await services.passwords.hash(password)

    async def before_create(self, work: WriteContext, values: RowValues) -> None:
        if values.get(EMAIL) is not None:
            _check_new_email(work, values[EMAIL])
        _check_static_token(work, values.get(TOKEN))
        await self._hash_preset(work, values)
        work.affected.user_counts = True

    async def after_create(self, work: WriteContext, key: Any, values: RowValues) -> None:
        if values.get(ROLE):
            work.affected.users.add(key)

    async def before_update(self, work: WriteContext, row: RowValues, values: RowValues) -> None:
        if values.get(EMAIL) is not None and values[EMAIL] != row[EMAIL]:
            _check_new_email(work, values[EMAIL])
        if TFA in values:
            _check_tfa(work, row, values[TFA])
        await self._hash_preset(work, values)
        changed = {field for field, value in values.items() if row[field] != value}
        if work.caller.api_token is not None and row[ID] == work.access.user and SIGN_IN_FIELDS & changed:
            raise Forbidden(OWNER_CREDENTIALS_MESSAGE)
        _check_static_token(work, values[TOKEN] if TOKEN in changed else None)
        _note_changes(work, row, values, changed)
        if PASSWORD in changed:
            await _replace_password(work, row, values[PASSWORD])
        elif STATUS in changed and values[STATUS] != ACTIVE:
            await end_sessions(work, row[ID])
        if TFA in changed:
            await OTPStore(work.services, row[ID]).delete_all(work.writer)

    async def before_delete(self, work: WriteContext, rows: dict[Any, RowValues]) -> None:
        work.affected.admins = work.affected.user_access = True
        if rows:
            references = await UserReferences.read(work.writer, list(rows))
            await release_references(work.writer, references.direct, list(rows))
            if work.access.admin:  # to others, the names of tables say too much
                await references.check_not_blocked(work.writer)

    async def _hash_preset(self, work: WriteContext, values: RowValues) -> None:
        """Hash a password that comes from a preset; `prepare` hashed any other."""
        password = values.get(PASSWORD)
        if password is None or isinstance(password, HashedPassword):
            return
        if password not in work.preset_hashes:
            check_quality(password, work.services.settings)
            work.budget.spend_hashes(1)
            work.preset_hashes[password] = await work.services.passwords.hash(password)
        values[PASSWORD] = work.preset_hashes[password]


def _note_changes(work: WriteContext, row: RowValues, values: RowValues, changed: set[Field]) -> None:
    """Note what the checks at the end of the transaction depend on."""
    if ROLE in changed:
        work.affected.users.add(row[ID])
    if STATUS in changed and values[STATUS] in MAY_LOG_IN:
        work.affected.activated_users.add(row[ID])
    if SIGN_IN_FIELDS & changed and row[ID] != work.access.user:
        work.affected.users_with_new_credentials.add(row[ID])
    if {ROLE, STATUS} & changed:
        work.affected.admins = work.affected.user_counts = work.affected.user_access = True


async def _replace_password(work: WriteContext, row: RowValues, password: str | None) -> None:
    note_comparison(work, row[PASSWORD], password)
    if row[PASSWORD] is not None:
        await add_former_password(work.writer, work.services, row[ID], row[PASSWORD])
    await end_sessions(work, row[ID])


async def end_sessions(work: WriteContext, user: str) -> None:
    """Delete all sessions of a user, which signs the user out everywhere."""
    await work.writer.execute(delete(_SESSIONS).where(_SESSIONS.c.user == user))
    work.signed_out_self = work.signed_out_self or user == work.access.user


async def track_page(services: Services, user: str, page: Any) -> None:
    """Store the page of an app that a user visited last, without a record in the audit log."""
    field = USERS.fields["last_page"]
    value = to_column_value(USERS, field, page)
    await services.database.run_write(
        lambda writer: RowStore(writer, USERS).update(user, {field: value}), exclusive=False
    )


def check_email(email: str) -> None:
    """Raise FailedValidation for an invalid email, or one that is not in Unicode's normal form NFC.

    In that form, different encodings of the same characters are equal. For the same reason, an international domain is
    written as IDNA2008 spells it, in Unicode or in ASCII.
    """
    local_part, _, domain = email.rpartition("@")
    if COMMON_LOCAL_PART.fullmatch(local_part) and len(email) <= MAX_COMMON_EMAIL_LENGTH and _is_valid_domain(domain):
        return
    if not _is_valid_email(email) or not is_normalized("NFC", email) or not is_canonical_domain(domain):
        raise FailedValidation("email", "email")


@lru_cache(maxsize=1024)
def _is_valid_domain(domain: str) -> bool:
    """Return whether emails of a domain can be valid; cached, because most emails share a few domains."""
    return domain.isascii() and _is_valid_email(f"a@{domain}")


def _check_new_email(work: WriteContext, email: str) -> None:
    check_email(email)
    work.affected.email_with_spellings |= len(email_spellings(email)) > 1


def _is_valid_email(email: str) -> bool:
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415  # few requests write an address

    try:
        validate_email(email, check_deliverability=False, strict=True)
    except EmailNotValidError:
        return False
    return True


def _check_static_token(work: WriteContext, token: str | None) -> None:
    """Check that a caller with an API token sets no static token, which would live longer than the API token."""
    if token is not None and work.caller.api_token is not None:
        raise Forbidden(LASTING_CREDENTIALS_MESSAGE)


def _check_tfa(work: WriteContext, row: RowValues, secret: str | None) -> None:
    """Check that the TFA secret is changed by the TFA flow, or removed from another user by an admin."""
    if work.caller.system or (secret is None and work.access.admin and row[ID] != work.access.user):
        return
    raise InvalidPayload('You can\'t change the "tfa_secret" value manually')
