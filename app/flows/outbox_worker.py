"""The outbox worker: builds queued mails, with links valid from that moment, and sends them."""

import asyncio
import hashlib
import hmac
from datetime import timedelta
from traceback import format_tb
from typing import Any

import structlog

from app.core.config import ConfigurationError, signing_secret
from app.core.errors import ServiceUnavailable
from app.core.timestamps import parse_date
from app.flows.background_jobs import PeriodicJob
from app.flows.mail_brand import read_mail_brand
from app.flows.mail_links import KIND_BY_NAME
from app.mail.message import DeliveryError, OutgoingMail, PermanentDeliveryError, parse_address
from app.mail.templating import MailContext, MailTemplates
from app.mail.transport import Transport, create_transport
from app.repositories.services import Services
from app.repositories.stores.outbox import OutboxQueue, QueuedMail

MAX_CONCURRENT_SENDS = 4
"""How many mails one worker sends at the same time."""
LEASE = timedelta(seconds=60)
"""How long a claimed mail is reserved for one worker: twice the time limit of sending it."""
MAX_RETRY_WAIT = timedelta(minutes=15)
MAX_DELIVERY_ATTEMPTS = 100
"""About a day: the wait doubles with each attempt, up to `MAX_RETRY_WAIT`."""
MAX_BUILD_ATTEMPTS = 5
"""About half a minute. A mail that can't be built needs a fix, not patience; attempts to deliver it count as well."""

log = structlog.get_logger(__name__)


class OutboxWorker(PeriodicJob):
    """Sends the mails that are due and retries failed ones; any number of processes may run a worker.

    A mail is leased to one worker, sent outside of any transaction, and then deleted. So no mail is sent twice,
    unless the process dies, or the database is unavailable for longer than the lease, between the mail server's
    acceptance and its record: then the mail is sent again with the same Message-ID. No mail is lost either: if its
    process dies, it is due again when the lease expires. The clocks of the processes must differ by less than half a
    lease.

    Raises:
        ConfigurationError: EMAIL_FROM is not an email address, or the templates can't be used.
    """

    name = "outbox_worker"
    interval_seconds = 1.0

    def __init__(self, services: Services, transport: Transport | None = None) -> None:
        super().__init__(services.metrics, services.mail_queued, services.tracer)
        settings = services.settings
        try:
            parse_address(settings.email_from, "sender")
        except PermanentDeliveryError:
            raise ConfigurationError("EMAIL_FROM must be an email address such as no-reply@example.com") from None
        self._services, self._queue = services, OutboxQueue(services)
        self._transport = transport or create_transport(settings)
        self._templates = MailTemplates(settings.email_templates_path)
        self._secret = signing_secret(settings)
        self._sent_unrecorded: set[int] = set()

    async def run_once(self) -> int:
        """Send the mails that are due and return how many were sent.

        Raises:
            ServiceUnavailable: The database is unavailable. The worker remembers the mails it has sent, and records
                them in its next run.
        """
        await self._record_sent()
        workers = min(MAX_CONCURRENT_SENDS, await self._queue.count_due())
        outcomes = await asyncio.gather(*(self._send_due() for _ in range(workers)), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return sum(outcome for outcome in outcomes if isinstance(outcome, int))

    async def _send_due(self) -> int:
        sent = 0
        while not self.stopping and (mail := await self._queue.claim(LEASE)):
            if mail.id not in self._sent_unrecorded:
                sent += await self._send(mail)
            await self._record_sent()
        return sent

    async def _send(self, mail: QueuedMail) -> bool:
        """Send a mail and return whether it was sent; otherwise schedule a retry, or give it up."""
        try:
            await self._transport.send(await self._build(mail))
        except PermanentDeliveryError as error:
            await self._give_up(mail, str(error))
        except (DeliveryError, ServiceUnavailable) as error:
            await self._retry_later(mail, str(error))
        except Exception as error:  # noqa: BLE001 - one mail that can't be built must not block the others
            await self._report_bug(mail, error)
        else:
            self._sent_unrecorded.add(mail.id)
            self._services.metrics.mails.add("sent")
            return True
        return False

    async def _record_sent(self) -> None:
        for mail in tuple(self._sent_unrecorded):
            await self._queue.delete(mail)
            self._sent_unrecorded.discard(mail)

    async def _retry_later(self, mail: QueuedMail, reason: str, max_attempts: int = MAX_DELIVERY_ATTEMPTS) -> None:
        """Schedule the next attempt, or give the mail up after `max_attempts`."""
        if mail.attempts >= max_attempts:
            await self._give_up(mail, reason)
            return
        wait = min(timedelta(seconds=2 ** min(mail.attempts, 12)), MAX_RETRY_WAIT)
        await self._queue.reschedule(mail.id, wait)
        self._services.metrics.mails.add("retried")
        seconds = wait.total_seconds()
        log.warning("mail_retry_scheduled", **_log_fields(mail), seconds=seconds, reason=reason)

    async def _report_bug(self, mail: QueuedMail, error: Exception) -> None:
        """Log a bug in Rollcall or in a template with its traceback, and retry the mail a few times only."""
        log.error("mail_build_failed", **_log_fields(mail), exception=_traceback_without_messages(error))
        await self._retry_later(mail, type(error).__name__, MAX_BUILD_ATTEMPTS)

    async def _give_up(self, mail: QueuedMail, reason: str) -> None:
        await self._queue.delete(mail.id)
        self._services.metrics.mails.add("given_up")
        log.error("mail_failed", **_log_fields(mail), reason=reason)

    async def _build(self, mail: QueuedMail) -> OutgoingMail:
        kind, settings, now = KIND_BY_NAME.get(mail.kind), self._services.settings, self._services.clock()
        if kind is None:  # a newer version queued the mail, and can send it
            raise DeliveryError("This version doesn't know the kind of mail")
        brand, end = await read_mail_brand(self._services), mail.data.get("expires")
        expires = parse_date(end) if end else now + kind.ttl(settings)
        link = kind.link(settings, self._secret, mail.recipient, mail.data, now)
        context = MailContext(brand.name, link, expires, brand.color, brand.text_color, brand.logo)
        content = self._templates.render(mail.kind, context)
        return OutgoingMail(self._message_id(mail), brand.name, settings.email_from, mail.recipient, content, now)

    def _message_id(self, mail: QueuedMail) -> str:
        """Return an id that is the same for each attempt, so that mail programs recognize a duplicate."""
        text = f"mail {mail.id} {mail.recipient}"
        return hmac.digest(self._secret.encode(), text.encode(), hashlib.sha256).hex()[:32]


def _log_fields(mail: QueuedMail) -> dict[str, Any]:
    """Return the fields that identify a mail in the log; never its recipient or its data."""
    return {"mail": mail.id, "kind": mail.kind, "attempts": mail.attempts}


def _traceback_without_messages(error: BaseException | None) -> str:
    """Format the traceback of an error and of its causes, without messages: those may quote a recipient or a link."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join("".join(format_tb(each.__traceback__)) + type(each).__name__ for each in reversed(chain))
