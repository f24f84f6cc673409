"""The storages: a folder, and a bucket of a real server that speaks S3."""

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
from tests.conftest import S3

LONG = bytes(range(256)) * 4 * 1024 * 6
"""Six megabytes: more than one part of an upload to S3."""


@pytest.fixture(scope="module")
def server():
    """The address of a server that speaks S3, with a bucket in it."""
    if not S3:
        pytest.skip("moto, flask, flask-cors or obstore is not installed: S3 was not looked at")
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
    return open_storage(bucket(request.getfixturevalue("server")))


def bucket(server, **changed):
    given = {
        "storage_locations": ("amazon",),
        "storage_local_driver": "s3",
        "storage_local_key": SecretStr("a key"),
        "storage_local_secret": SecretStr("a secret"),
        "storage_local_bucket": "contents",
        "storage_local_region": "us-east-1",
        "storage_local_endpoint": server,
        "storage_local_force_path_style": True,
        **changed,
    }
    return Settings(_env_file=None, **given)


async def pieces(content, size=70_000, error=None):
    for at in range(0, len(content), size):
        yield content[at : at + size]
    if error:
        raise error


async def whole(storage, name, start=0, length=None):
    length = await storage.size(name) if length is None else length
    return b"".join([bytes(piece) async for piece in storage.iter_chunks(name, start, length)])


async def seen(server, below):
    """What the server itself has in the bucket."""
    async with httpx.AsyncClient() as client:
        return await client.get(f"{server}/contents{below}")


@pytest.mark.parametrize("content", [b"", b"short", LONG], ids=["empty", "short", "long"])
async def test_a_content_is_kept_as_it_came(storage, content):
    await storage.put("kept.bin", pieces(content))

    assert await storage.size("kept.bin") == len(content)
    assert await whole(storage, "kept.bin") == content


async def test_a_part_of_a_content_can_be_had(storage):
    await storage.put("part.bin", pieces(LONG))
    for start, length in ((0, 1), (5, 10), (CHUNK_SIZE - 1, CHUNK_SIZE + 2), (len(LONG) - 3, 3), (7, 0)):
        assert await whole(storage, "part.bin", start, length) == LONG[start : start + length]


@pytest.mark.parametrize("content", [b"", b"short", LONG], ids=["empty", "short", "long"])
async def test_what_breaks_off_is_not_kept(storage, content):
    with pytest.raises(LookupError, match="gone"):
        await storage.put("broken.bin", pieces(content, error=LookupError("gone")))

    assert await storage.size("broken.bin") is None


async def test_a_content_goes_and_may_be_gone_already(storage):
    await storage.put("gone.bin", pieces(b"x"))
    for _ in range(2):
        await storage.remove("gone.bin")
        assert await storage.size("gone.bin") is None


@pytest.mark.parametrize(
    "name", ["../out", "a/../../out", "/etc/passwd", ".", "..", "", "a\\b", "a\0b", ".hidden", "a/.b"]
)
async def test_no_name_leads_out_of_a_storage(storage, name):
    assert await storage.size(name) is None
    await storage.remove(name)


async def test_parts_of_an_upload_that_breaks_off_are_thrown_away(server):
    storage = open_storage(bucket(server))
    with pytest.raises(LookupError):
        await storage.put("broken.bin", pieces(LONG * 2, error=LookupError("gone")))

    assert "<Upload>" not in (await seen(server, "?uploads")).text


async def test_a_bucket_may_be_shared_below_a_name_of_ones_own(server):
    storage = open_storage(bucket(server, storage_local_root=Path("ours/below")))
    await storage.put("a.bin", pieces(b"x"))

    assert (await seen(server, "/ours/below/a.bin")).content == b"x"


async def test_a_storage_that_is_away_is_a_503_and_no_word_of_its_own(server):
    away = open_storage(bucket("http://127.0.0.1:9", storage_local_bucket="contents"))
    nowhere = open_storage(bucket(server, storage_local_bucket="nowhere"))
    for storage in (away, nowhere):
        with pytest.raises(ServiceUnavailable) as refused:
            await storage.put("a.bin", pieces(b"x"))
        assert "127.0.0.1" not in refused.value.text
    with pytest.raises(ServiceUnavailable):
        await whole(nowhere, "a.bin", 0, 1)


async def test_a_folder_is_for_its_owners_eyes_only(tmp_path):
    await LocalStorage("local", tmp_path / "deep" / "uploads").put("a.bin", pieces(b"x"))
    kept = tmp_path / "deep" / "uploads" / "a.bin"

    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert [path.name for path in kept.parent.iterdir()] == ["a.bin"]


async def test_a_link_in_a_folder_leads_nowhere(tmp_path):
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / "link").symlink_to(tmp_path / "secret")
    storage = LocalStorage("local", tmp_path / "uploads")

    assert await storage.size("link") is None
    with pytest.raises(ServiceUnavailable):
        await whole(storage, "link", 0, 6)


async def test_a_content_that_is_shorter_than_it_was_breaks_off(tmp_path):
    storage = LocalStorage("local", tmp_path)
    await storage.put("a.bin", pieces(b"short"))
    with pytest.raises(ServiceUnavailable):
        await whole(storage, "a.bin", 0, 6)


async def test_a_folder_that_can_not_be_written_to_is_a_503(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceUnavailable):
        await LocalStorage("local", tmp_path / "file").put("a.bin", pieces(b"x"))


@pytest.mark.skipif(not S3, reason="obstore is not installed")
def test_a_bucket_has_to_be_named():
    with pytest.raises(ConfigurationError, match="STORAGE_AMAZON_BUCKET"):
        open_storage(bucket("http://127.0.0.1:9", storage_local_bucket=None))
