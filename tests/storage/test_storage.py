"""The storages: a local directory, and a bucket of an S3 server."""

import stat
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from app.core.config import ConfigurationError, Settings
from app.core.errors import ServiceUnavailable
from app.storage.base import CHUNK_SIZE
from app.storage.factory import open_storage
from app.storage.local import LocalStorage
from tests.conftest import HAS_S3

LARGE = bytes(range(256)) * 4 * 1024 * 6
"""6 MiB: more than one part of an S3 upload."""


@pytest.fixture(scope="module")
def server():
    """The URL of an S3 server with a bucket."""
    if not HAS_S3:
        pytest.skip("moto, flask, flask-cors or obstore is not installed: S3 is not tested")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    httpx.put(f"http://{host}:{port}/contents").raise_for_status()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["local", "s3"])
def storage(request, tmp_path):
    if request.param == "local":
        return open_storage(Settings(_env_file=None, storage_local_root=tmp_path / "uploads"))
    return open_storage(s3_settings(request.getfixturevalue("server")))


def s3_settings(server, **overrides):
    settings = {
        "storage_locations": ("amazon",),
        "storage_local_driver": "s3",
        "storage_local_key": SecretStr("a key"),
        "storage_local_secret": SecretStr("a secret"),
        "storage_local_bucket": "contents",
        "storage_local_region": "us-east-1",
        "storage_local_endpoint": server,
        "storage_local_force_path_style": True,
        **overrides,
    }
    return Settings(_env_file=None, **settings)


async def chunks(content, size=70_000, error=None):
    for start in range(0, len(content), size):
        yield content[start : start + size]
    if error:
        raise error


async def read(storage, name, start=0, length=None):
    length = await storage.size(name) if length is None else length
    return b"".join([bytes(chunk) async for chunk in storage.iter_chunks(name, start, length)])


async def get_from_server(server, path):
    """Return the server's own response about the bucket."""
    async with httpx.AsyncClient() as client:
        return await client.get(f"{server}/contents{path}")


@pytest.mark.parametrize("content", [b"", b"short", LARGE], ids=["empty", "short", "large"])
async def test_a_file_is_stored_unchanged(storage, content):
    await storage.put("stored.bin", chunks(content))

    assert await storage.size("stored.bin") == len(content)
    assert await read(storage, "stored.bin") == content


async def test_a_range_of_a_file_can_be_read(storage):
    await storage.put("part.bin", chunks(LARGE))
    for start, length in ((0, 1), (5, 10), (CHUNK_SIZE - 1, CHUNK_SIZE + 2), (len(LARGE) - 3, 3), (7, 0)):
        assert await read(storage, "part.bin", start, length) == LARGE[start : start + length]


@pytest.mark.parametrize("content", [b"", b"short", LARGE], ids=["empty", "short", "large"])
async def test_an_aborted_upload_stores_nothing(storage, content):
    with pytest.raises(LookupError, match="gone"):
        await storage.put("broken.bin", chunks(content, error=LookupError("gone")))

    assert await storage.size("broken.bin") is None


async def test_a_file_can_be_removed_twice(storage):
    await storage.put("gone.bin", chunks(b"x"))
    for _ in range(2):
        await storage.remove("gone.bin")
        assert await storage.size("gone.bin") is None


@pytest.mark.parametrize(
    "name", ["../out", "a/../../out", "/etc/passwd", ".", "..", "", "a\\b", "a\0b", ".hidden", "a/.b"]
)
async def test_no_name_escapes_the_storage(storage, name):
    assert await storage.size(name) is None
    await storage.remove(name)


async def test_the_parts_of_an_aborted_upload_are_removed(server):
    storage = open_storage(s3_settings(server))
    with pytest.raises(LookupError):
        await storage.put("broken.bin", chunks(LARGE * 2, error=LookupError("gone")))

    assert "<Upload>" not in (await get_from_server(server, "?uploads")).text


async def test_the_root_is_a_prefix_of_names_in_a_bucket(server):
    storage = open_storage(s3_settings(server, storage_local_root=Path("rollcall/files")))
    await storage.put("a.bin", chunks(b"x"))

    assert (await get_from_server(server, "/rollcall/files/a.bin")).content == b"x"


async def test_an_unavailable_storage_is_a_503_without_details(server):
    unreachable = open_storage(s3_settings("http://127.0.0.1:9", storage_local_bucket="contents"))
    missing = open_storage(s3_settings(server, storage_local_bucket="missing"))
    for storage in (unreachable, missing):
        with pytest.raises(ServiceUnavailable) as error:
            await storage.put("a.bin", chunks(b"x"))
        assert "127.0.0.1" not in error.value.text
    with pytest.raises(ServiceUnavailable):
        await read(missing, "a.bin", 0, 1)


async def test_only_the_owner_can_read_a_directory(tmp_path):
    await LocalStorage("local", tmp_path / "deep" / "uploads").put("a.bin", chunks(b"x"))
    file = tmp_path / "deep" / "uploads" / "a.bin"

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["a.bin"]


async def test_symbolic_links_are_not_followed(tmp_path):
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / "link").symlink_to(tmp_path / "secret")
    storage = LocalStorage("local", tmp_path / "uploads")

    assert await storage.size("link") is None
    with pytest.raises(ServiceUnavailable):
        await read(storage, "link", 0, 6)


async def test_reading_beyond_the_end_of_a_file_is_an_error(tmp_path):
    storage = LocalStorage("local", tmp_path)
    await storage.put("a.bin", chunks(b"short"))
    with pytest.raises(ServiceUnavailable):
        await read(storage, "a.bin", 0, 6)


async def test_a_directory_that_cannot_be_created_is_a_503(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceUnavailable):
        await LocalStorage("local", tmp_path / "file").put("a.bin", chunks(b"x"))


@pytest.mark.skipif(not HAS_S3, reason="obstore is not installed")
def test_s3_needs_the_name_of_a_bucket():
    with pytest.raises(ConfigurationError, match="STORAGE_AMAZON_BUCKET"):
        open_storage(s3_settings("http://127.0.0.1:9", storage_local_bucket=None))
