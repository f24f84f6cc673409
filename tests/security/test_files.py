"""Known vulnerabilities through files: fetched URLs, active content, path traversal, and writes without permission."""

import asyncio
import socket
import time
from typing import Any

import pytest

from tests.base_data import uid
from tests.files.conftest import uploaders, uploaders_db
from tests.files.uploaders import HTML, SVG, png
from tests.http.clients import FORBIDDEN, data_of, error_of
from tests.writes.editors import checksum

__all__ = ["uploaders", "uploaders_db"]

BOUNDARY = {"Content-Type": "multipart/form-data; boundary=x"}
FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\nx\r\n--x--\r\n'


def stored_contents(server):
    return {path.name: path.read_bytes() for path in server.folder.parent.rglob("*.png")}


async def test_ssrf_uploads_fetch_no_url(uploaders, monkeypatch):
    """CVE-2023-26492, CVE-2024-39699, CVE-2024-46990, CVE-2026-35409 and CVE-2026-61835."""
    connections: list[Any] = []
    resolved: list[Any] = []
    getaddrinfo = socket.getaddrinfo
    server = await asyncio.start_server(lambda *_: connections.append("a connection"), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    def record_lookup(host, *args, **kwargs):
        resolved.append(host)
        return getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", record_lookup)
    for host in ("127.0.0.1", "0.0.0.0", "localhost", "[::ffff:127.0.0.1]", "2130706433"):
        url = f"http://{host}:{port}/a.png"
        rejected = [
            await uploaders.request("ada", "POST", "/files/import", json={"url": url}),
            await uploaders.upload("ada", png(), path="/files/import", url=url),
            await uploaders.upload("ada", png(), url=url),
        ]
        assert [response.status_code for response in rejected] == [400, 404, 403]
        data_of(await uploaders.upload("ada", png(), filename=url, location=url, embed=url))
    server.close()

    assert (connections, resolved) == ([], [])


XHTML = b'<html xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></html>'
XSLT = b'<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="#x"?><a/>'
ACTIVE_CONTENTS = (
    SVG,
    HTML,
    XHTML,
    XSLT,
    b"GIF89a/*" + HTML,
    png() + HTML,
    b"%PDF-1.7 /JS (app.alert(1))",
    b"alert(1)",
)
CLAIMED_TYPES = (
    "image/png",
    "image/svg+xml",
    "text/html",
    "application/xhtml+xml",
    "text/javascript",
    "multipart/related",
    "",
)


async def test_xss_no_uploaded_content_runs_in_a_browser(uploaders):
    """SVG or HTML as an avatar, whatever its claimed type, and images that are also HTML pages."""
    inline_types = set()
    form = [("file", ("a.html", content, claimed)) for content in ACTIVE_CONTENTS for claimed in CLAIMED_TYPES]
    rows = data_of(await uploaders.request("uma", "POST", "/files", files=form))
    for row, (_, (_, content, _)) in zip(rows, form, strict=True):
        response = await uploaders.request("ada", "GET", f"/assets/{row['id']}/a.html", headers={"Accept": "text/html"})
        assert response.content == content
        assert response.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert response.headers["x-content-type-options"] == "nosniff"
        if not response.headers["content-disposition"].startswith("attachment; "):
            inline_types.add(response.headers["content-type"])

    assert inline_types == {"image/gif", "image/png", "application/pdf"}


TRAVERSAL_NAMES = (
    "../../out.png",
    "..\\..\\out.png",
    "/tmp/rollcall-out.png",
    "..%2f..%2fout.png",
    "a\0/../../out.png",
    "..",
)


@pytest.mark.parametrize("name", TRAVERSAL_NAMES, ids=range(len(TRAVERSAL_NAMES)))
async def test_path_traversal_no_filename_leaves_the_storage_folder(uploaders, name):
    (uploaders.folder.parent / "out.png").write_bytes(b"untouched")
    row = data_of(await uploaders.upload("ada", png(), name, filename_download=name.replace("\0", "")))
    rejected = [
        await uploaders.request("ada", "PATCH", f"/files/{row['id']}", json={"filename_disk": name}),
        await uploaders.request(
            "ada", "POST", "/files", json={"storage": "x", "filename_download": "x", "filename_disk": name}
        ),
        await uploaders.upload("ada", png(), id=name),
    ]
    await uploaders.system.load({"directus_files": [{"id": row["id"], "filename_disk": name.replace("\0", "")}]})
    read = await uploaders.request("ada", "GET", f"/assets/{row['id']}")
    deleted = await uploaders.request("ada", "DELETE", f"/files/{row['id']}")

    assert [response.status_code for response in rejected] == [400, 400, 403]
    assert (read.status_code, deleted.status_code) == (404, 204)
    assert stored_contents(uploaders)["out.png"] == b"untouched"
    assert uploaders.stored == [row["filename_disk"]]


async def test_cve_2025_55746_users_without_permission_neither_change_nor_add_files(uploaders):
    """Contents were replaced or added by anyone, without a change of their rows."""
    row = data_of(await uploaders.upload("uma", png()))
    before, rows = stored_contents(uploaders), await checksum(uploaders.system)
    for user in (None, "vi", "ugo", "rex"):
        for path, method in ((f"/files/{row['id']}", "PATCH"), (f"/files/{uid('new')}", "PATCH"), ("/files", "POST")):
            if (user, method) == ("ugo", "POST"):
                continue  # Ugo may upload
            for fields in ({}, {"filename_disk": row["filename_disk"]}, {"id": row["id"], "storage": "local"}):
                assert (
                    error_of(await uploaders.upload(user, HTML, "a.html", path=path, method=method, **fields))
                    == FORBIDDEN
                )

    assert stored_contents(uploaders) == before
    assert await checksum(uploaders.system) == rows
    assert uploaders.stored == [row["filename_disk"]]


SLOW_FORMS = {  # CVE-2024-24762, CVE-2024-53981, CVE-2024-47874, CVE-2025-54121
    "data after the end": FILE + b"\r\n" * 500_000,
    "data before the beginning": b"\r\n" * 100_000 + FILE,
    "near boundaries": FILE.replace(b"\r\nx\r\n", b"\r\n" + b"\r\n--y" * 200_000 + b"\r\n"),
    "many headers": FILE.replace(b"\r\n\r\n", b"\r\n" + b"a: b\r\n" * 50_000 + b"\r\n"),
    "a long header": FILE.replace(b"a.png", b"a" * 500_000),
    "many fields": b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nx\r\n' * 20_000 + FILE,
    "a long field": b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\n' + b"x" * 3_000_000 + b"\r\n" + FILE,
}


@pytest.mark.parametrize("form", SLOW_FORMS)
async def test_no_multipart_form_takes_long_to_parse(uploaders, form):
    started = time.process_time()
    response = await uploaders.request("ada", "POST", "/files", content=SLOW_FORMS[form], headers=BOUNDARY)

    assert response.status_code in (200, 400)
    assert time.process_time() - started < 2
    assert len(uploaders.stored) == (response.status_code == 200)


async def test_no_header_takes_long_to_parse(uploaders):
    row = data_of(await uploaders.upload("ada", png()))
    started = time.process_time()
    content_type = "multipart/form-data; " + 'a="\\' * 5_000 + "; boundary=x"
    upload = await uploaders.request("ada", "POST", "/files", content=FILE, headers={"Content-Type": content_type})
    headers = {"Range": "bytes=" + "0-," * 5_000, "If-None-Match": '"a",' * 5_000, "If-Range": "x" * 10_000}
    download = await uploaders.request("ada", "GET", f"/assets/{row['id']}", headers=headers)

    assert upload.status_code in (200, 400)
    assert download.content == png()
    assert time.process_time() - started < 1
