"""A real mail server, which keeps what it is given; and mails to be sent there."""

import asyncio
import socket
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from email import message_from_bytes, policy
from types import SimpleNamespace

import pytest
import structlog
from aiosmtpd.smtp import SMTP
from sqlalchemy import select

from app.db.models import OUTBOX
from app.flows import background_jobs, outbox_worker
from app.flows.outbox_worker import OutboxWorker
from app.mail import transport
from app.repositories.stores.outbox import Outbox
from tests.world import uid


class MailServer:
    """Takes whatever comes, but for `refusing`: an address -> what is said to it."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.letters = []
        self.refusing = {}
        self.meanwhile = None

    @asynccontextmanager
    async def up(self, ssl=None, **options):
        def greet():
            return SMTP(self, hostname="mail.example.com", enable_SMTPUTF8=True, **options)

        server = await asyncio.get_running_loop().create_server(greet, "127.0.0.1", self.port, ssl=ssl)
        try:
            yield self
        finally:
            server.close()

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if address in self.refusing:
            return self.refusing[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        if self.meanwhile is not None:
            await self.meanwhile()
        message = message_from_bytes(envelope.content, policy=policy.default)
        encrypted = session.ssl is not None
        given = SimpleNamespace(sender=envelope.mail_from, to=envelope.rcpt_tos, message=message, encrypted=encrypted)
        given.plain, given.html = (_part(message, kind) for kind in ("plain", "html"))
        self.letters.append(given)
        return "250 OK"


def _part(message, kind):
    part = message.get_body([kind])
    assert part is not None
    return part.get_content()


def sending(services, server, **changed):
    """The services of somebody whose mail goes to this server."""
    smtp = {"email_transport": "smtp", "email_smtp_host": "127.0.0.1", "email_smtp_port": server.port}
    home = {"public_url": "https://users.example.com/"}
    return replace(services, settings=services.settings.model_copy(update={**smtp, **home, **changed}))


def later(services, passed):
    """The services of somebody on whose clock so much more time has passed."""
    return replace(services, clock=lambda: services.clock() + passed)


async def post(services, kind="invite", to="ida@example.com", **data):
    said = {"user": uid("ida"), "url": None, **data}
    await services.database.run_write(lambda writer: Outbox(writer, services).enqueue(kind, to, said), exclusive=False)


async def outbox(services):
    """The rows of the outbox, in the order they were posted."""
    return await rows_of(services, OUTBOX, OUTBOX.c.id)


async def rows_of(services, table, order):
    asked = select(table).order_by(order)
    rows = await services.database.run_write(lambda writer: writer.rows(writer.prepare(asked)), exclusive=False)
    return [SimpleNamespace(**dict(zip(asked.exported_columns.keys(), row, strict=True))) for row in rows]


async def do(services, *statements):
    """Statements on the database itself, past everything that is tested."""

    async def work(writer):
        for statement in statements:
            await writer.fetch_all(writer.compile(statement))

    await services.database.run_write(work, exclusive=False)


async def sent(services):
    """Waits until the first mail of the outbox has been dealt with."""
    while (await outbox(services))[0].sent is None:  # noqa: ASYNC110 - nobody tells us
        await asyncio.sleep(0.02)


async def send(services):
    return await OutboxWorker(services).run_once()


@contextmanager
def told():
    """What is logged of mails and chores meanwhile, whatever the log was set up for before."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (background_jobs, outbox_worker, transport):
            patch.setattr(module, "log", structlog.get_logger())
        with structlog.testing.capture_logs() as lines:
            yield lines
