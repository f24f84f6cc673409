"""Invitations: who may send them, who gets a mail, and what their links allow."""

import asyncio
from itertools import product
from typing import Any

import pytest
from sqlalchemy import select

from app.core.caller import PUBLIC, Caller
from app.core.email_links import LinkPurpose
from app.core.errors import (
    FailedValidation,
    Forbidden,
    InvalidForeignKey,
    InvalidInvite,
    InvalidPayload,
    InvalidToken,
    RollcallError,
)
from app.db.models import Activity
from app.flows.invitations import Invitations
from app.flows.login import Credentials, LoginService
from app.repositories.commands.invitations import InvitationResult
from app.repositories.directory import Directory
from tests.base_data import caller, uid
from tests.flows.inviters import (
    ALLOWED_URLS,
    INVALID_PASSWORDS,
    LOOKALIKE_EMAILS,
    PASSWORD,
    REJECTED_URLS,
    invalid_links,
    link_token,
    queued_mails,
    snapshot,
    update_settings,
    update_user,
    user_row,
)
from tests.writes.test_concurrency import error_codes_of

NEW = "new@example.com"
EDITOR, VIEWER, WRITER = (uid(f"role-{name}") for name in ("Editor", "Viewer", "Writer"))


def invitations(system, who: str | None = "ada"):
    return Invitations(system.directory(caller(who)))


def invitation_token(system, email="ida@example.com", name: str | None = "ida"):
    """Return the token of an invitation link."""
    return link_token(system, LinkPurpose.INVITATION, email, name and uid(name))


async def login(system, email, password=PASSWORD):
    return await LoginService(Directory(PUBLIC, system.services)).login(Credentials(email, password))


async def test_an_unused_email_gets_an_invited_user_and_a_mail(inviters):
    await invitations(inviters).invite([NEW], VIEWER)

    row = await user_row(inviters, NEW)
    assert (row["status"], row["role"], row["password"]) == ("invited", VIEWER, None)
    assert await queued_mails(inviters) == [("invite", NEW, {"user": row["id"], "url": None})]


async def test_each_email_has_an_outcome(inviters):
    emails = [NEW, "ida@example.com", "vi@example.com", NEW]
    outcomes = await invitations(inviters).invite(emails, VIEWER)

    assert [outcome[:2] for outcome in outcomes] == [
        (InvitationResult.CREATED, True),
        (InvitationResult.INVITED_AGAIN, True),
        (InvitationResult.SKIPPED, False),
        (InvitationResult.SKIPPED, False),
    ]


async def test_a_mail_links_to_urls_on_the_allow_list(inviters):
    for url in (*ALLOWED_URLS, "", None):
        await invitations(inviters).invite([NEW], VIEWER, url)

    assert [data["url"] for _, _, data in await queued_mails(inviters)] == [*ALLOWED_URLS, None, None]


async def test_a_mail_links_to_no_other_url(inviters):
    before = await snapshot(inviters)
    for url, who in product(REJECTED_URLS, ("ada", None)):  # for anonymous callers too: the URL is checked first
        with pytest.raises(InvalidPayload, match="can't be used to invite users"):
            await invitations(inviters, who).invite([NEW], VIEWER, url)
    assert await snapshot(inviters) == before


@pytest.mark.both_databases
async def test_a_caller_who_may_not_create_users_cannot_invite(inviters):
    before = await snapshot(inviters)
    email_lists: list[list[str]] = [[NEW], ["ida@example.com"], ["vi@example.com"], []]
    for who, emails in product((None, "sam", "nora", "ann", "pat"), email_lists):
        with pytest.raises(Forbidden):
            await invitations(inviters, who).invite(emails, None)
    assert await snapshot(inviters) == before


async def test_the_role_must_exist(inviters):
    before = await snapshot(inviters)
    for role, email in product(("99999999-0000-4000-8000-000000000000", "nope", ""), (NEW, "ida@example.com")):
        with pytest.raises(InvalidForeignKey) as caught:
            await invitations(inviters).invite([email], role)
        assert caught.value.details["field"] == "role"
    assert await snapshot(inviters) == before


async def test_one_invalid_email_prevents_all_invitations_of_a_call(inviters):
    before = await snapshot(inviters)
    for email, code in {
        "nope": "FAILED_VALIDATION",
        "": "FAILED_VALIDATION",
        "a@b": "FAILED_VALIDATION",
        "@example.com": "FAILED_VALIDATION",
        "a b@example.com": "FAILED_VALIDATION",
        "ni\u0303x@example.com": "FAILED_VALIDATION",
        "a@example.com\0": "INVALID_PAYLOAD",
        "x" * 10_000: "VALUE_TOO_LONG",
    }.items():
        with pytest.raises(RollcallError) as caught:
            await invitations(inviters).invite([NEW, "ida@example.com", email], VIEWER)
        assert caught.value.code == code
    assert await snapshot(inviters) == before


async def test_existing_users_are_not_changed(inviters):
    before = await snapshot(inviters)
    for who in ("vi", "sue", "una", "wanda", "ada"):
        await invitations(inviters).invite([f"{who}@example.com", f"{who.upper()}@Example.COM"], VIEWER)
    assert await snapshot(inviters) == before


async def test_an_invited_user_gets_another_mail_at_the_stored_email(inviters):
    before = await snapshot(inviters)
    await invitations(inviters).invite(["IDA@Example.com"], EDITOR)

    rows, _, attempts = await snapshot(inviters)
    assert (rows, attempts) == (before[0], before[2])
    assert await queued_mails(inviters) == [("invite", "ida@example.com", {"user": uid("ida"), "url": None})]


async def test_an_invited_user_gets_the_role_of_the_new_invitation(inviters):
    await invitations(inviters).invite(["IDA@example.com"], VIEWER)
    assert (await user_row(inviters, "ida@example.com"))["role"] == VIEWER

    await invitations(inviters).invite(["ida@example.com"], None)
    assert (await user_row(inviters, "ida@example.com"))["role"] == VIEWER


async def test_both_links_are_valid_until_one_is_used(inviters):
    first, second = invitation_token(inviters), invitation_token(inviters, "IDA@example.com")
    await invitations(inviters, None).accept(second, PASSWORD)
    with pytest.raises(InvalidInvite):
        await invitations(inviters, None).accept(first, "another password")
    assert (await login(inviters, "ida@example.com")).access


async def test_one_call_invites_many_emails_and_each_once(inviters):
    emails = [NEW, "ida@example.com", "vi@example.com", "NEW@example.com", "Ida@example.com", "ñew@example.com", NEW]
    await invitations(inviters).invite([*emails, "ÑEW@example.com"], EDITOR)

    assert sorted(recipient for _, recipient, _ in await queued_mails(inviters)) == [
        "ida@example.com",
        NEW,
        "ñew@example.com",
    ]


async def test_a_homoglyph_email_is_another_user(inviters):
    await invitations(inviters).invite(["ídа@example.com"], EDITOR)  # noqa: RUF001 - a Cyrillic letter

    assert [recipient for _, recipient, _ in await queued_mails(inviters)] == ["ídа@example.com"]  # noqa: RUF001
    assert (await queued_mails(inviters))[0][2]["user"] != uid("ida")


async def test_inviting_requires_no_permission_on_the_status(inviters):
    await invitations(inviters, "hal").invite([NEW], None)

    row = await user_row(inviters, NEW)
    assert (row["status"], row["language"], row["role"]) == ("invited", "de-DE", uid("role-Host"))


async def test_assigning_a_role_requires_permission_on_that_field(inviters):
    before = await snapshot(inviters)
    for role in (uid("role-Greeter"), uid("role-Self")):
        with pytest.raises(Forbidden):
            await invitations(inviters, "gil").invite([NEW], role)
    assert await snapshot(inviters) == before

    await invitations(inviters, "gil").invite([NEW], None)
    assert (await user_row(inviters, NEW))["role"] is None


async def test_an_inviter_cannot_assign_a_role_with_more_access_than_their_own(inviters):
    before = await snapshot(inviters)
    excessive = {"wes": ("Administrator", "Rights"), "hal": ("Administrator", "Writer"), "rita": ("Administrator",)}
    for who, role in ((who, role) for who, roles in excessive.items() for role in roles):
        for email in (NEW, "ida@example.com"):  # a repeated invitation neither
            with pytest.raises(Forbidden):
                await invitations(inviters, who).invite([email], uid(f"role-{role}"))
    assert await snapshot(inviters) == before


async def test_changing_the_role_of_an_invited_user_requires_update_permission(inviters):
    await update_user(inviters, "ida", role=uid("role-Host"))
    before = await snapshot(inviters)
    with pytest.raises(Forbidden):
        await invitations(inviters, "hal").invite([NEW, "ida@example.com"], uid("role-Greeter"))
    assert await snapshot(inviters) == before

    await invitations(inviters, "hal").invite(["ida@example.com"], uid("role-Host"))
    assert [recipient for _, recipient, _ in await queued_mails(inviters)] == ["ida@example.com"]


async def test_the_validation_rules_of_the_inviter_apply(inviters):
    before = await snapshot(inviters)
    with pytest.raises(FailedValidation) as caught:
        await invitations(inviters, "wes").invite([NEW, "new@elsewhere.example"], WRITER)
    assert (caught.value.details["field"], caught.value.details["type"]) == ("email", "ends_with")
    assert await snapshot(inviters) == before


async def test_two_concurrent_invitations_of_one_email_both_succeed(inviters, other):
    for number in range(5):
        email = f"{number}{NEW}"
        results = await error_codes_of(*(invitations(process).invite([email], VIEWER) for process in (inviters, other)))
        assert results == [None, None]
        mails = [data["user"] for _, recipient, data in await queued_mails(inviters) if recipient == email]
        assert mails == [(await user_row(inviters, email))["id"]] * 2


async def test_a_user_who_accepted_can_log_in(inviters):
    logged_in_as_another = Invitations(inviters.directory(caller("sam")))
    await logged_in_as_another.accept(invitation_token(inviters), PASSWORD)

    assert (await user_row(inviters, "ida@example.com"))["status"] == "active"
    assert (await login(inviters, "ida@example.com")).access
    async with inviters.database.transaction() as connection:
        author = await connection.scalar(select(Activity.user_id).where(Activity.item == uid("ida")))
    assert author == uid("ida")


async def test_a_directus_link_with_only_an_email_is_accepted(inviters):
    await invitations(inviters, None).accept(invitation_token(inviters, "IDA@example.com", None), "  ")
    assert (await login(inviters, "ida@example.com", "  ")).access


async def test_one_of_two_concurrent_acceptances_succeeds(inviters, other):
    results = await error_codes_of(
        *(
            invitations(process, None).accept(invitation_token(inviters), f"{PASSWORD} {number}")
            for number, process in enumerate((inviters, other))
        )
    )
    assert sorted(results, key=str) == ["INVALID_INVITE", None]
    assert (await login(inviters, "ida@example.com", f"{PASSWORD} {results.index(None)}")).access


async def test_an_invalid_link_is_rejected(inviters):
    before = await snapshot(inviters)
    for token, code in invalid_links(inviters, LinkPurpose.INVITATION, "ida@example.com", user=uid("ida")):
        with pytest.raises(RollcallError) as caught:
            await invitations(inviters).accept(token, PASSWORD)
        assert caught.value.code == code, token
    assert await snapshot(inviters) == before


async def test_only_an_invited_user_can_accept(inviters):
    before = await snapshot(inviters)
    names = ("vi", "sue", "una", "wanda", "nobody")
    for name, bound_name in (*zip(names, names, strict=True), *((name, None) for name in names)):
        with pytest.raises(InvalidInvite):
            await invitations(inviters, None).accept(
                invitation_token(inviters, f"{name}@example.com", bound_name), PASSWORD
            )
    assert await snapshot(inviters) == before


async def test_a_link_for_a_homoglyph_email_matches_no_user(inviters):
    await update_user(inviters, "vi", status="invited")
    before = await snapshot(inviters)
    for email in LOOKALIKE_EMAILS:
        with pytest.raises((InvalidInvite, InvalidToken)):  # InvalidToken: the email makes the token too long
            await invitations(inviters, None).accept(invitation_token(inviters, email, None), PASSWORD)
    assert await snapshot(inviters) == before


async def test_a_link_is_bound_to_its_user(inviters):
    before = await snapshot(inviters)
    with pytest.raises(InvalidInvite):
        await invitations(inviters, None).accept(invitation_token(inviters, "ida@example.com", "vi"), PASSWORD)
    assert await snapshot(inviters) == before


@pytest.mark.parametrize(("password", "code"), INVALID_PASSWORDS)
async def test_an_invalid_password_leaves_the_invitation_valid(inviters, password, code):
    await update_settings(inviters, auth_password_policy="/^.{8,}$/")
    before = await snapshot(inviters)
    with pytest.raises(RollcallError) as caught:
        await invitations(inviters, None).accept(invitation_token(inviters), password)
    assert caught.value.code == code
    assert not password or password not in str(caught.value.as_dict())
    assert await snapshot(inviters) == before

    await invitations(inviters, None).accept(invitation_token(inviters), PASSWORD)


async def test_revoking_deletes_the_user_and_invalidates_the_links_forever(inviters):
    await invitations(inviters).invite([NEW], VIEWER)
    first = link_token(inviters, LinkPurpose.INVITATION, NEW, (await user_row(inviters, NEW))["id"])
    directus_token = link_token(inviters, LinkPurpose.INVITATION, NEW)

    assert await invitations(inviters).revoke("NEW@example.com") is True
    assert await user_row(inviters, NEW) is None
    for token in (first, directus_token):
        with pytest.raises(InvalidInvite):
            await invitations(inviters, None).accept(token, PASSWORD)

    await invitations(inviters).invite([NEW], VIEWER)
    with pytest.raises(InvalidInvite):
        await invitations(inviters, None).accept(first, PASSWORD)
    await invitations(inviters, None).accept(directus_token, PASSWORD)


async def test_without_an_invitation_nothing_is_revoked(inviters):
    before = await snapshot(inviters)
    for email in (*LOOKALIKE_EMAILS, "vi@example.com", "una@example.com", "sue@example.com", "ADA@example.com"):
        assert await invitations(inviters).revoke(email) is False
    assert await snapshot(inviters) == before


@pytest.mark.both_databases
async def test_an_inaccessible_invitation_looks_like_none(inviters):
    before = await snapshot(inviters)
    for who in ("wes", "gil"):
        for email in ("ida@example.com", "nobody@example.com", "vi@example.com"):
            assert await invitations(inviters, who).revoke(email) is False
    assert await snapshot(inviters) == before

    await update_user(inviters, "ida", role=None)
    assert await invitations(inviters, "gil").revoke("ida@example.com") is True


@pytest.mark.both_databases
async def test_a_caller_who_may_not_delete_users_cannot_revoke(inviters):
    before = await snapshot(inviters)
    emails = ("ida@example.com", "nobody@example.com", "vi@example.com", "nope\0")
    for who, email in product((None, "hal", "sam", "nora"), emails):
        with pytest.raises(Forbidden):
            await invitations(inviters, who).revoke(email)
    assert await snapshot(inviters) == before


@pytest.mark.both_databases
async def test_a_concurrent_acceptance_or_revocation_wins_but_not_both(inviters, other):
    accepted, revoked = await asyncio.gather(
        error_codes_of(invitations(inviters, None).accept(invitation_token(inviters), PASSWORD)),
        invitations(other).revoke("ida@example.com"),
    )
    row: Any = await user_row(inviters, "ida@example.com")
    assert (accepted, revoked, row and row["status"]) in [
        ([None], False, "active"),
        (["INVALID_INVITE"], True, None),
    ]


async def test_a_caller_with_invalid_credentials_cannot_invite(inviters):
    before = await snapshot(inviters)
    with pytest.raises(RollcallError) as caught:
        await Invitations(inviters.directory(Caller(user=uid("sue")))).invite([NEW], None)
    assert caught.value.code == "INVALID_CREDENTIALS"
    assert await snapshot(inviters) == before
