"""What the start page says to administrators about the operation of the server."""

from datetime import datetime, timedelta

from app.repositories.project_settings import read_password_policy
from app.repositories.stores.outbox import OutboxQueue, OutboxSummary
from app.studio.page_request import PageRequest
from app.studio.rights import Rights

MAX_DELAY = timedelta(minutes=5)
"""How long a mail may be due before the page says that nothing sends it."""


async def read_outbox(request: PageRequest, rights: Rights) -> OutboxSummary | None:
    """Return how many mails are queued; None unless the caller is an administrator."""
    return await OutboxQueue(request.services).summary() if rights.admin else None


async def operator_warnings(request: PageRequest, rights: Rights, outbox: OutboxSummary | None) -> list[str]:
    """Return what an operator should change; nothing unless the caller is an administrator."""
    _, settings = request.translate, request.services.settings
    if not rights.admin:
        return []
    warnings = []
    if settings.email_transport == "log":
        warnings.append(
            _("Mails are written to the log and not sent. Set EMAIL_TRANSPORT=smtp and the address of a mail server.")
        )
    if not settings.public_url:
        warnings.append(
            _("Links in mails may not work on other machines. Set PUBLIC_URL to the address of the server.")
        )
    if settings.secret is None:
        warnings.append(
            _(
                "Tokens are signed with the content of a file. Set SECRET, or include the file in backups: without it, "
                "every session ends and links in mails become invalid."
            )
        )
    if not await read_password_policy(request.services):
        warnings.append(_("Passwords of any length are accepted. Choose a password policy in the settings."))
    if outbox and outbox.earliest_due and _age(request, outbox.earliest_due) > MAX_DELAY:
        warnings.append(_("Queued mails are overdue. Check whether a server process runs, and its log."))
    return warnings


def _age(request: PageRequest, moment: datetime | str) -> timedelta:
    time = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return request.services.clock() - time
