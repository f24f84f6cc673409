"""The WebSocket endpoints behind TLS, with a self-signed certificate."""

import ssl
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets import Subprotocol
from websockets.asyncio.client import connect

from app.core.caller import SYSTEM
from app.core.clock import utc_now
from tests.base_data import static_token, uid
from tests.realtime.sockets import PROTOCOL, Client, serving, subscribed
from tests.realtime.test_directus_messages import USERS, ask

VI, ED = static_token("vi"), uid("ed")

pytestmark = pytest.mark.one_database


@pytest.fixture
def certificate(tmp_path):
    """The files of a certificate for localhost and of its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), utc_now()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    signed = builder.sign(key, hashes.SHA256())
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    files[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption()))
    return files


async def test_subscriptions_work_over_wss(restored_db, certificate):
    file, key = certificate
    trusting = ssl.create_default_context(cafile=file)
    tls = {"ssl_certfile": str(file), "ssl_keyfile": str(key)}
    async with serving(restored_db.settings, uvicorn_options=tls) as server:
        url, protocols = f"wss://localhost:{server.port}", [Subprotocol(PROTOCOL)]
        async with (
            connect(f"{url}/graphql/system", subprotocols=protocols, ssl=trusting, host="127.0.0.1") as graphql,
            connect(f"{url}/websocket", ssl=trusting, host="127.0.0.1") as directus,
        ):
            clients = Client(graphql), Client(directus)
            await clients[0].init(VI)
            await clients[0].subscribe()
            await ask(clients[1], {"type": "auth", "access_token": VI})
            await ask(clients[1], USERS)
            await subscribed(server, 2)
            await restored_db.directory(SYSTEM)["users"].update_one(ED, {"title": "Encrypted"})
            results = await clients[0].next(), await clients[1].receive()

    assert [results[0]["data"], *results[1]["data"]] == [{"id": ED, "title": "Encrypted"}] * 2
