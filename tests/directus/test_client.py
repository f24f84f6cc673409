"""The client of Directus nodes: what it sends, and what counts as a failure."""

import asyncio

import pytest
from pydantic import SecretStr

from app.directus import client as client_module
from app.directus.client import DirectusClient, DirectusError
from tests.directus.node import TOKEN, DirectusNode
from tests.mail.test_transport import certificate

__all__ = ["certificate"]


async def clear_cache(url):
    client = DirectusClient(SecretStr(TOKEN))
    try:
        await client.clear_cache(url)
    finally:
        await client.close()


@pytest.mark.parametrize("path", ["", "/", "/cms"])
async def test_a_call_clears_the_system_cache_as_the_user_with_the_token(path):
    async with DirectusNode(path).up() as node:
        await clear_cache(node.url)
    [(line, headers)] = node.requests

    assert line == f"POST {path.rstrip('/')}/utils/cache/clear?system HTTP/1.1"
    assert headers["authorization"] == f"bearer {TOKEN}"


@pytest.mark.parametrize("status", ["204 No Content", "200 OK"])
async def test_every_2xx_is_a_success(status):
    node = DirectusNode()
    node.status = status
    async with node.up():
        await clear_cache(node.url)

    assert len(node.requests) == 1


@pytest.mark.parametrize("status", ["302 Found", "401 Unauthorized", "403 Forbidden", "503 Service Unavailable"])
async def test_every_other_status_is_a_failure_and_redirects_are_not_followed(status):
    node, other = DirectusNode(), DirectusNode()
    async with node.up(), other.up():
        node.status, node.headers = status, f"location: {other.url}\r\n"
        with pytest.raises(DirectusError, match=f"HTTP {status[:3]}"):
            await clear_cache(node.url)

    assert other.requests == []


async def test_a_node_that_is_down_or_too_slow_is_a_failure(monkeypatch):
    monkeypatch.setattr(client_module, "CALL_TIMEOUT_SECONDS", 0.2)
    node = DirectusNode()
    with pytest.raises(DirectusError, match="ConnectError"):
        await clear_cache(node.url)
    async with node.up():
        node.on_request = lambda: asyncio.sleep(5)
        with pytest.raises(DirectusError, match="Timeout"):
            await clear_cache(node.url)


async def test_a_certificate_must_be_trusted(certificate, monkeypatch):
    file, context = certificate
    async with DirectusNode().up(ssl=context) as node:
        with pytest.raises(DirectusError, match="ConnectError"):
            await clear_cache(node.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        await clear_cache(node.url)

    assert len(node.requests) == 1
