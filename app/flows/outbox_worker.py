"""The postman: mails out of the outbox are written, with links that work from now on, and sent."""

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

import structlog

from app.core.config import ConfigurationError, Settings, signing_secret
from app.core.email_links import EmailLink, LinkPurpose, add_token, sign_link_token
from app.flows.background_jobs import PeriodicJob
from app.mail.message import DeliveryError, OutgoingMail, PermanentDeliveryError, one_line, parse_address
from app.mail.templating import MailContext, MailTemplates
from app.mail.transport import Transport, create_transport
from app.repositories.project_settings import read_project_settings
from app.repositories.services import Services
from app.repositories.stores.outbox import OutboxQueue, QueuedMail

MAX_CONCURRENT_SENDS = 4
"""Mails under way at once."""
LEASE = timedelta(seconds=60)
"""For how long a mail that is being sent is nobody else's: twice what sending takes at most."""
MAX_RETRY_WAIT = timedelta(minutes=15)
MAX_DELIVERY_ATTEMPTS = 100
"""About a day, waiting twice as long each time and LONGEST_WAIT at most."""
RESET_TTL = timedelta(days=1)
DEFAULT_PROJECT_NAME = "Directus"
"""What a project is called that has no settings."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MailKind:
    """What the link of a kind of mail is good for, where it leads unless the mail says, and for how long."""

    purpose: LinkPurpose
    path: str
    ttl: Callable[[Settings], timedelta]


MAIL_KINDS = {
    "invite": MailKind(LinkPurpose.INVITATION, "/admin/accept-invite", lambda settings: settings.user_invite_token_ttl),
    "reset": MailKind(LinkPurpose.RESET, "/admin/reset-password", lambda _: RESET_TTL),
    "verify": MailKind(
        LinkPurpose.REGISTRATION, "/users/register/verify-email", lambda settings: settings.email_verification_token_ttl
    ),
}


class OutboxWorker(PeriodicJob):
    """Sends what is due in the outbox, and tries again what didn't go; any number of processes may have one.

    A mail is leased to one of them before it is sent and settled afterwards, outside of any transaction. So nobody is
    sent one twice, unless a process dies, or the database is away for longer than the lease, between the mail server's
    word that it has the mail and writing that down: then it goes out once more, under the same Message-ID. Nor is one
    lost: what dies with a process is due again when its lease is over. Clocks are taken to differ by less than half a
    lease.

    Raises BadSettings where EMAIL_FROM is no address, or the templates can't be used.
    """

    name: ClassVar[str] = "postman"
    interval_seconds: ClassVar[float] = 1.0

    def __init__(self, services: Services, transport: Transport | None = None) -> None:
        super().__init__(services.mail_queued)
        settings = services.settings
        try:
            parse_address(settings.email_from)
        except PermanentDeliveryError:
            raise ConfigurationError("EMAIL_FROM should be an address such as no-reply@example.com") from None
        self._services, self._outgoing = services, OutboxQueue(services)
        self._transport = transport or create_transport(settings)
        self._wording = MailTemplates(settings.email_templates_path)
        self._secret = signing_secret(settings)
        self._sent_unrecorded: set[int] = set()

    async def run_once(self) -> int:
        """Sends what is due; how many mails have gone.

        Raises ServiceUnavailable where the database is away; what has gone until then is remembered.
        """
        await self._record_sent()
        hands = min(MAX_CONCURRENT_SENDS, await self._outgoing.due())
        told = await asyncio.gather(*(self._send_due() for _ in range(hands)), return_exceptions=True)
        for outcome in told:
            if isinstance(outcome, BaseException):
                raise outcome
        return sum(outcome for outcome in told if isinstance(outcome, int))

    async def _send_due(self) -> int:
        sent = 0
        while not self.stopping and (mail := await self._outgoing.claim(LEASE)):
            if mail.id not in self._sent_unrecorded:
                sent += await self._send(mail)
            await self._record_sent()
        return sent

    async def _send(self, mail: QueuedMail) -> bool:
        """Whether a mail has gone; one that hasn't is put off, or given up."""
        try:
            await self._transport.send(await self._write(mail))
        except PermanentDeliveryError as refusal:
            await self._give_up(mail, str(refusal))
        except DeliveryError as problem:
            await self._put_off(mail, str(problem))
        except Exception as error:  # noqa: BLE001 - one mail that can't be written must not hold up the others
            await self._put_off(mail, type(error).__name__)
        else:
            self._sent_unrecorded.add(mail.id)
            return True
        return False

    async def _record_sent(self) -> None:
        """Writes down what has gone."""
        for mail in tuple(self._sent_unrecorded):
            await self._outgoing.mark_done(mail)
            self._sent_unrecorded.discard(mail)

    async def _put_off(self, mail: QueuedMail, why: str) -> None:
        if mail.attempts >= MAX_DELIVERY_ATTEMPTS:
            await self._give_up(mail, why)
            return
        wait = min(timedelta(seconds=2 ** min(mail.attempts, 12)), MAX_RETRY_WAIT)
        await self._outgoing.reschedule(mail.id, wait)
        told = {"mail": mail.id, "kind": mail.kind, "attempts": mail.attempts, "seconds": wait.total_seconds()}
        log.warning("mail_put_off", **told, why=why)

    async def _give_up(self, mail: QueuedMail, why: str) -> None:
        await self._outgoing.mark_done(mail.id)
        log.error("mail_given_up", mail=mail.id, kind=mail.kind, attempts=mail.attempts, why=why)

    async def _write(self, mail: QueuedMail) -> OutgoingMail:
        kind, settings, now = MAIL_KINDS[mail.kind], self._services.settings, self._services.clock()
        project, ttl = await self._project(), kind.ttl(settings)
        words = self._wording.render(mail.kind, MailContext(project, self._link(mail, kind, now), now + ttl))
        return OutgoingMail(self._id(mail), project, settings.email_from, mail.recipient, words, now)

    def _link(self, mail: QueuedMail, kind: MailKind, now: datetime) -> str:
        settings = self._services.settings
        link = EmailLink(kind.purpose, mail.recipient, mail.data.get("user"), mail.data.get("password"))
        token = sign_link_token(self._secret, link, kind.ttl(settings), now)
        home = settings.public_url or f"http://{settings.host}:{settings.port}"
        return add_token(mail.data.get("url") or home.rstrip("/") + kind.path, token)

    def _id(self, mail: QueuedMail) -> str:
        """The same for each attempt, so that mail programs see that what comes twice is one."""
        told = f"mail {mail.id} {mail.recipient}"
        return hmac.digest(self._secret.encode(), told.encode(), hashlib.sha256).hex()[:32]

    async def _project(self) -> str:
        settings = await read_project_settings(self._services, "project_name")
        return one_line(settings.get("project_name", DEFAULT_PROJECT_NAME))
