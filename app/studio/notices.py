"""The messages that pages show after a finished action, by the name in their address."""

from collections.abc import Callable, Mapping

from app.studio.form_errors import Translate

TranslatePlural = Callable[[str, str, int], str]
MAX_DIGITS = 6


def notice_message(name: str, count: str = "", *, translate: Translate, translate_plural: TranslatePlural) -> str:
    """Return the message with a name; empty if there is none, as anyone can write any name into an address.

    `count` is the number of rows that the message names, if it names one.
    """
    if count.isascii() and count.isdecimal() and len(count) <= MAX_DIGITS:
        counted = _counted_messages(translate_plural, int(count)).get(name, "")
        if counted:
            return counted.format(count=int(count))
    return _messages(translate).get(name, "")


def _counted_messages(ngettext: TranslatePlural, count: int) -> Mapping[str, str]:
    return {
        "users-active": ngettext("{count} user activated.", "{count} users activated.", count),
        "users-suspended": ngettext(
            "{count} user suspended and signed out.", "{count} users suspended and signed out.", count
        ),
        "users-archived": ngettext("{count} user archived.", "{count} users archived.", count),
        "users-draft": ngettext("{count} user set to draft.", "{count} users set to draft.", count),
        "users-invited": ngettext("{count} user set to invited.", "{count} users set to invited.", count),
        "users-unverified": ngettext("{count} user set to unverified.", "{count} users set to unverified.", count),
        "users-updated": ngettext("{count} user updated.", "{count} users updated.", count),
        "users-deleted": ngettext("{count} user deleted.", "{count} users deleted.", count),
    }


def _messages(translate: Translate) -> Mapping[str, str]:
    _ = translate
    return {
        "signed-out": _("You are signed out."),
        "link-expired": _("Your account can no longer be linked: too much time has passed. Sign in again."),
        "session-ended": _("Your session has ended. Sign in again to continue."),
        "email-verified": _("Your email address is confirmed. Sign in to continue."),
        "reset-requested": _(
            "If there is an account with this email address, a mail with a link to set a new password is on its way. "
            "The link is valid for one day."
        ),
        "password-changed": _("Your new password is saved. All other devices are signed out."),
        "invitation-accepted": _("Your password is saved and your account is active."),
        "registration-mailed": _(
            "Check your mail: if this email address is new here, a link to confirm it is on its way."
        ),
        "registered": _("If this email address is new here, your account is ready. Sign in to continue."),
        "two-factor-enabled": _("Two-factor authentication is enabled."),
        "two-factor-disabled": _("Two-factor authentication is disabled."),
        "session-revoked": _("The session is ended."),
        "sessions-revoked": _("All other sessions are ended."),
        "passkey-added": _("The passkey was added."),
        "passkey-renamed": _("The passkey was renamed."),
        "passkey-removed": _("The passkey was removed."),
        "token-revoked": _("The token was revoked."),
        "user-saved": _("The user was saved."),
        "profile-saved": _("Your profile was saved."),
        "settings-saved": _("The settings were saved."),
        "logo-saved": _("The logo was saved."),
        "logo-removed": _("The logo was removed."),
        "policy-saved": _("The policy and its permissions were saved."),
        "policy-created": _("The policy was created. Choose its permissions, and attach it to roles or users."),
        "policy-created-for-role": _("The policy was created and attached. Open it to choose its permissions."),
        "policy-deleted": _("The policy was deleted."),
        "permissions-saved": _("The permissions of the policy were saved."),
        "permission-saved": _("The permission was saved and applies now. You do not need to save the policy for it."),
        "permission-deleted": _("The permission was deleted."),
        "users-updated": _("The selected users were updated."),
        "users-deleted": _("The selected users were deleted."),
        "user-created": _("The user was created."),
        "user-suspended": _("The user is suspended, and all sessions ended."),
        "user-activated": _("The user is active and can sign in."),
        "user-deleted": _("The user was deleted."),
        "sessions-ended": _("The sessions were ended."),
        "session-ended-by-admin": _("The session was ended."),
        "tfa-removed": _("Two-factor authentication was removed."),
        "token-removed": _("The static token was removed."),
        "policy-assigned": _("The policy was attached."),
        "policy-removed": _("The policy was detached."),
        "picture-saved": _("The picture was saved."),
        "picture-removed": _("The picture was removed."),
        "role-created": _("The role was created. Attach policies to it, and add users."),
        "role-saved": _("The role was saved."),
        "role-deleted": _("The role was deleted."),
        "users-added": _("The users have this role now."),
        "users-removed": _(
            "The users have no role now: the policies of the public apply, and those that are attached to each user."
        ),
        "policy-attached": _("The policy was attached."),
        "policy-end-changed": _("The end of the policy was changed."),
        "policy-detached": _("The policy was detached."),
        "invitations-sent": _("The users were invited. Each of them gets a mail with a link."),
        "invitations-logged": _(
            "The users were invited. No mail is sent: the links are in the log of the server, for you to pass on."
        ),
        "invitation-sent": _("Another mail was sent. The links of earlier mails remain valid."),
        "invitation-logged": _(
            "Another link was written to the log of the server, for you to pass on. Earlier links remain valid."
        ),
        "invitation-recent": _("The last mail to this user was sent a moment ago, so no other one was sent."),
        "invitation-revoked": _("The invitation was canceled. The links of its mails are invalid."),
    }
