"""How a letter gets to the mail server: in the clear, over TLS, with a password, or not at all."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from app.core.config import Settings
from app.mail import transport
from app.mail.message import DeliveryError, OutgoingMail
from app.mail.templating import RenderedMail
from app.mail.transport import SmtpTransport
from tests.mail.server import MailServer

LETTER = OutgoingMail(
    "1",
    "Rollcall",
    "no-reply@example.com",
    "ida@example.com",
    RenderedMail("Hello", "text\n", "<p>html</p>"),
    datetime.now(UTC),
)
PASSWORD = "only the mail server knows"


@pytest.fixture
def certificate(tmp_path):
    """A certificate of 127.0.0.1 that nobody trusts yet, and a server's context with it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
    alone = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = made.add_extension(alone, critical=False).sign(key, hashes.SHA256())
    file, pem = tmp_path / "certificate.pem", serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    file.write_bytes(signed.public_bytes(pem) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return file, context


async def send_to(server, **settings):
    given = {"email_smtp_host": "127.0.0.1", "email_smtp_port": server.port, **settings}
    await SmtpTransport(Settings(_env_file=None, **given)).send(LETTER)


async def test_tls_is_spoken_where_the_server_offers_it(certificate, monkeypatch):
    file, context = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    async with MailServer().up(tls_context=context) as server:
        await send_to(server)

    assert [letter.encrypted for letter in server.letters] == [True]


async def test_a_certificate_that_nobody_trusts_is_given_nothing(certificate):
    async with MailServer().up(tls_context=certificate[1]) as server:
        with pytest.raises(DeliveryError):
            await send_to(server)

    assert server.letters == []


async def test_tls_is_left_alone_where_it_shall_be_ignored(certificate):
    async with MailServer().up(tls_context=certificate[1]) as server:
        await send_to(server, email_smtp_ignore_tls=True)

    assert [letter.encrypted for letter in server.letters] == [False]


async def test_tls_is_spoken_from_the_first_byte_where_that_is_asked_for(certificate, monkeypatch):
    file, context = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    async with MailServer().up(ssl=context) as server:
        await send_to(server, email_smtp_secure=True)

    assert [letter.message["To"] for letter in server.letters] == ["ida@example.com"]


@pytest.mark.parametrize(("password", "taken"), [(PASSWORD, 1), ("another", 0)])
async def test_we_sign_in_where_we_have_a_name(certificate, monkeypatch, password, taken):
    file, context = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(file))

    def known(server, session, envelope, mechanism, given):
        return AuthResult(success=(given.login, given.password) == (b"rollcall", PASSWORD.encode()), handled=False)

    async with MailServer().up(tls_context=context, authenticator=known) as server:
        try:
            await send_to(server, email_smtp_user="rollcall", email_smtp_password=SecretStr(password))
        except DeliveryError as problem:
            assert str(problem) == "SMTPAuthenticationError: 535"  # noqa: PT017 - a refusal that is expected once

    assert len(server.letters) == taken


async def test_a_server_that_says_nothing_keeps_us_waiting_only_so_long(monkeypatch):
    monkeypatch.setattr(transport, "STEP_TIMEOUT_SECONDS", 0.1)

    async def say_nothing(reader, writer):
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    host, port = silent.sockets[0].getsockname()
    sending = SmtpTransport(Settings(_env_file=None, email_smtp_host=host, email_smtp_port=port)).send(LETTER)
    with pytest.raises(DeliveryError, match="Timeout"):
        await asyncio.wait_for(sending, 5)
    silent.close()


async def test_a_server_that_never_says_farewell_has_the_letter_all_the_same(monkeypatch):
    monkeypatch.setattr(transport, "QUIT_TIMEOUT_SECONDS", 0.1)

    class Rude(MailServer):
        async def handle_QUIT(self, server, session, envelope):  # noqa: N802
            await asyncio.sleep(1)
            return "221 Bye"

    async with Rude().up() as server:
        await asyncio.wait_for(send_to(server), 0.9)

    assert len(server.letters) == 1


async def test_the_server_is_greeted_with_the_name_we_were_given():
    greeted = []

    class Attentive(MailServer):
        async def handle_EHLO(self, server, session, envelope, hostname, responses):  # noqa: N802
            session.host_name = hostname
            greeted.append(hostname)
            return responses

    async with Attentive().up() as server:
        await send_to(server, email_smtp_name="users.example.com")

    assert greeted == ["users.example.com"]
