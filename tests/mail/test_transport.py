"""The SMTP transport: TLS, authentication, timeouts and errors."""

import asyncio
import ssl
from dataclasses import replace
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
from app.mail.message import DeliveryError, OutgoingMail, PermanentDeliveryError
from app.mail.smtp import SmtpTransport
from app.mail.templating import RenderedMail
from tests.mail.server import MailServer

MAIL = OutgoingMail(
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
    """A self-signed certificate for 127.0.0.1 that is not trusted yet, and a server context with it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1)
    )
    subject = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = builder.add_extension(subject, critical=False).sign(key, hashes.SHA256())
    file, pem = tmp_path / "certificate.pem", serialization.Encoding.PEM
    private_key = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(signed.public_bytes(pem) + private_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return file, context


async def send_to(server, mail=MAIL, **settings):
    smtp = {"email_smtp_host": "127.0.0.1", "email_smtp_port": server.port, **settings}
    await SmtpTransport(Settings(_env_file=None, **smtp)).send(mail)


async def test_starttls_is_used_if_the_server_offers_it(certificate, monkeypatch):
    file, context = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    async with MailServer().up(tls_context=context) as server:
        await send_to(server)

    assert [mail.encrypted for mail in server.mails] == [True]


async def test_nothing_is_sent_to_a_server_with_an_untrusted_certificate(certificate):
    async with MailServer().up(tls_context=certificate[1]) as server:
        with pytest.raises(DeliveryError):
            await send_to(server)

    assert server.mails == []


async def test_starttls_is_not_used_with_ignore_tls(certificate):
    async with MailServer().up(tls_context=certificate[1]) as server:
        await send_to(server, email_smtp_ignore_tls=True)

    assert [mail.encrypted for mail in server.mails] == [False]


async def test_tls_is_used_from_the_start_if_configured(certificate, monkeypatch):
    file, context = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    async with MailServer().up(ssl=context) as server:
        await send_to(server, email_smtp_secure=True)

    assert [mail.message["To"] for mail in server.mails] == ["ida@example.com"]


@pytest.mark.parametrize(("password", "received"), [(PASSWORD, 1), ("another", 0)])
async def test_the_client_authenticates_if_a_user_is_configured(certificate, monkeypatch, password, received):
    file, context = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(file))

    def authenticate(server, session, envelope, mechanism, credentials):
        return AuthResult(
            success=(credentials.login, credentials.password) == (b"rollcall", PASSWORD.encode()), handled=False
        )

    async with MailServer().up(tls_context=context, authenticator=authenticate) as server:
        try:
            await send_to(server, email_smtp_user="rollcall", email_smtp_password=SecretStr(password))
        except DeliveryError as error:
            assert str(error) == "SMTPAuthenticationError: 535"  # noqa: PT017 - expected in one of the two cases

    assert len(server.mails) == received


async def test_an_unresponsive_server_causes_a_timeout(monkeypatch):
    monkeypatch.setattr("app.mail.smtp.STEP_TIMEOUT_SECONDS", 0.1)

    async def ignore(reader, writer):
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(ignore, "127.0.0.1", 0)
    host, port = silent.sockets[0].getsockname()
    sending = SmtpTransport(Settings(_env_file=None, email_smtp_host=host, email_smtp_port=port)).send(MAIL)
    with pytest.raises(DeliveryError, match="Timeout"):
        await asyncio.wait_for(sending, 5)
    silent.close()


async def test_a_mail_is_sent_even_if_quit_times_out(monkeypatch):
    monkeypatch.setattr("app.mail.smtp.QUIT_TIMEOUT_SECONDS", 0.1)

    class SlowQuit(MailServer):
        async def handle_QUIT(self, server, session, envelope):  # noqa: N802
            await asyncio.sleep(1)
            return "221 Bye"

    async with SlowQuit().up() as server:
        await asyncio.wait_for(send_to(server), 0.9)

    assert len(server.mails) == 1


async def test_the_configured_name_is_sent_in_ehlo():
    names = []

    class RecordingEhlo(MailServer):
        async def handle_EHLO(self, server, session, envelope, hostname, responses):  # noqa: N802
            session.host_name = hostname
            names.append(hostname)
            return responses

    async with RecordingEhlo().up() as server:
        await send_to(server, email_smtp_name="users.example.com")

    assert names == ["users.example.com"]


@pytest.mark.parametrize("domain", ["dömäin.example", "DÖMÄIN.example", "xn--dmin-moa0i.example"])
async def test_an_international_domain_needs_no_smtputf8(domain):
    mail = replace(MAIL, recipient=f"info@{domain}", sender=f"no-reply@{domain}")
    async with MailServer().up(enable_SMTPUTF8=False) as server:
        await send_to(server, mail)
    [received] = server.mails

    assert (received.sender, received.to) == ("no-reply@xn--dmin-moa0i.example", ["info@xn--dmin-moa0i.example"])
    assert received.message["To"] == "info@xn--dmin-moa0i.example"
    assert received.message["From"] == "Rollcall <no-reply@xn--dmin-moa0i.example>"
    assert received.message["Message-ID"] == "<1@xn--dmin-moa0i.example>"


async def test_an_international_local_part_is_sent_to_a_server_with_smtputf8():
    async with MailServer().up() as server:
        await send_to(server, replace(MAIL, recipient="jürg@dömäin.example"))

    assert server.mails[0].to == ["jürg@xn--dmin-moa0i.example"]


@pytest.mark.parametrize(
    ("mail", "owner"),
    [
        (replace(MAIL, recipient="jürg@example.com"), "recipient's"),
        (replace(MAIL, sender="jürg@example.com"), "sender's"),
    ],
)
async def test_a_server_without_smtputf8_rejects_an_international_local_part_permanently(mail, owner):
    reason = f"^The {owner} address is not ASCII before the @, and the server does not support SMTPUTF8$"
    async with MailServer().up(enable_SMTPUTF8=False) as server:
        with pytest.raises(PermanentDeliveryError, match=reason):
            await send_to(server, mail)

    assert server.mails == []
