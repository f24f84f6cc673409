"""A real SMTP server for tests, and helpers around the outbox."""

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from email import message_from_bytes, policy
from types import SimpleNamespace

from aiosmtpd.smtp import SMTP
from sqlalchemy import select

from app.db.models import OUTBOX
from app.flows import background_jobs, outbox_worker
from app.flows.outbox_worker import OutboxWorker
from app.mail import transport
from app.repositories.stores.outbox import Outbox
from tests.base_data import uid
from tests.logs import captured_logs


class MailServer:
    """Accepts all emails, except for the addresses in `rejections`, which maps them to the SMTP reply."""

    def __init__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.mails = []
        self.rejections = {}
        self.on_data = None

    @asynccontextmanager
    async def up(self, ssl=None, **options):
        def create_session():
            return SMTP(self, hostname="mail.example.com", **{"enable_SMTPUTF8": True, **options})

        server = await asyncio.get_running_loop().create_server(create_session, "127.0.0.1", self.port, ssl=ssl)
        try:
            yield self
        finally:
            server.close()

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if address in self.rejections:
            return self.rejections[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        if self.on_data is not None:
            await self.on_data()
        message = message_from_bytes(envelope.content, policy=policy.default)
        encrypted = session.ssl is not None
        mail = SimpleNamespace(sender=envelope.mail_from, to=envelope.rcpt_tos, message=message, encrypted=encrypted)
        mail.plain, mail.html = (_part(message, subtype) for subtype in ("plain", "html"))
        self.mails.append(mail)
        return "250 OK"


def _part(message, subtype):
    part = message.get_body([subtype])
    assert part is not None
    return part.get_content()


def with_smtp(services, server, **overrides):
    """Return the services with settings that send mail to this server."""
    smtp = {"email_transport": "smtp", "email_smtp_host": "127.0.0.1", "email_smtp_port": server.port}
    public_url = {"public_url": "https://users.example.com/"}
    return replace(services, settings=services.settings.model_copy(update={**smtp, **public_url, **overrides}))


def with_clock_ahead(services, duration):
    """Return the services with a clock that is ahead by this duration."""
    return replace(services, clock=lambda: services.clock() + duration)


async def enqueue(services, kind="invite", to="ida@example.com", **data):
    """Enqueue an email to a recipient, with the data of its link."""
    link = {"user": uid("ida"), "url": None, **data}
    await services.database.run_write(lambda writer: Outbox(writer, services).enqueue(kind, to, link), exclusive=False)


async def outbox_rows(services):
    """Return the rows of the outbox in the order in which they were enqueued."""
    return await table_rows(services, OUTBOX, OUTBOX.c.id)


async def table_rows(services, table, order):
    query = select(table).order_by(order)
    rows = await services.database.run_write(lambda writer: writer.rows(writer.prepare(query)), exclusive=False)
    return [SimpleNamespace(**dict(zip(query.exported_columns.keys(), row, strict=True))) for row in rows]


async def execute(services, *statements):
    """Execute statements directly on the database, bypassing the repositories."""

    async def work(writer):
        for statement in statements:
            await writer.fetch_all(writer.compile(statement))

    await services.database.run_write(work, exclusive=False)


async def wait_until_sent(services):
    """Wait until every mail of the outbox is sent or has failed for good."""
    while await outbox_rows(services):  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.02)


async def run_worker(services):
    return await OutboxWorker(services).run_once()


def captured_job_logs():
    """Capture the log events of mails and background jobs."""
    return captured_logs(background_jobs, outbox_worker, transport)
