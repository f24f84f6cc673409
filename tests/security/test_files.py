"""Published holes that files open: what is fetched, run, read beside them, or changed by whoever may not."""

import asyncio
import socket
import time
from typing import Any

import pytest

from tests.files.conftest import uploaders, uploaders_db
from tests.files.uploaders import HTML, SVG, png
from tests.http.clients import FORBIDDEN, refusal, told
from tests.world import uid
from tests.writes.editors import checksum

__all__ = ["uploaders", "uploaders_db"]

BOUNDARY = {"Content-Type": "multipart/form-data; boundary=x"}
FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\nx\r\n--x--\r\n'


def state_of(filing):
    return {path.name: path.read_bytes() for path in filing.folder.parent.rglob("*.png")}


async def test_ssrf_no_file_is_fetched_from_anywhere(uploaders, monkeypatch):
    """CVE-2023-26492, CVE-2024-39699, CVE-2024-46990, CVE-2026-35409 and CVE-2026-61835."""
    asked: list[Any] = []
    names: list[Any] = []
    look_up = socket.getaddrinfo
    server = await asyncio.start_server(lambda *_: asked.append("somebody"), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    def looked_up(host, *more, **how):
        names.append(host)
        return look_up(host, *more, **how)

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    for host in ("127.0.0.1", "0.0.0.0", "localhost", "[::ffff:127.0.0.1]", "2130706433"):
        url = f"http://{host}:{port}/a.png"
        refused = [
            await uploaders.ask("ada", "POST", "/files/import", json={"url": url}),
            await uploaders.upload("ada", png(), path="/files/import", url=url),
            await uploaders.upload("ada", png(), url=url),
        ]
        assert [answer.status_code for answer in refused] == [400, 404, 403]
        told(await uploaders.upload("ada", png(), name=url, location=url, embed=url))
    server.close()

    assert (asked, names) == ([], [])


XHTML = b'<html xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></html>'
XSLT = b'<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="#x"?><a/>'
RUNS = (SVG, HTML, XHTML, XSLT, b"GIF89a/*" + HTML, png() + HTML, b"%PDF-1.7 /JS (app.alert(1))", b"alert(1)")
CALLED = (
    "image/png",
    "image/svg+xml",
    "text/html",
    "application/xhtml+xml",
    "text/javascript",
    "multipart/related",
    "",
)


async def test_xss_nothing_that_somebody_uploads_runs_in_anybodys_browser(uploaders):
    """An SVG or an HTML page as an avatar, whatever it is called; a picture that is a page as well."""
    shown = set()
    form = [("file", ("a.html", content, called)) for content in RUNS for called in CALLED]
    rows = told(await uploaders.ask("uma", "POST", "/files", files=form))
    for row, (_, (_, content, _)) in zip(rows, form, strict=True):
        answer = await uploaders.ask("ada", "GET", f"/assets/{row['id']}/a.html", headers={"Accept": "text/html"})
        assert answer.content == content
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert answer.headers["x-content-type-options"] == "nosniff"
        if not answer.headers["content-disposition"].startswith("attachment; "):
            shown.add(answer.headers["content-type"])

    assert shown == {"image/gif", "image/png", "application/pdf"}


ELSEWHERE = (
    "../../out.png",
    "..\\..\\out.png",
    "/tmp/rollcall-out.png",
    "..%2f..%2fout.png",
    "a\0/../../out.png",
    "..",
)


@pytest.mark.parametrize("name", ELSEWHERE, ids=range(len(ELSEWHERE)))
async def test_path_traversal_no_name_leads_out_of_the_folder(uploaders, name):
    (uploaders.folder.parent / "out.png").write_bytes(b"untouched")
    row = told(await uploaders.upload("ada", png(), name, filename_download=name.replace("\0", "")))
    refused = [
        await uploaders.ask("ada", "PATCH", f"/files/{row['id']}", json={"filename_disk": name}),
        await uploaders.ask(
            "ada", "POST", "/files", json={"storage": "x", "filename_download": "x", "filename_disk": name}
        ),
        await uploaders.upload("ada", png(), id=name),
    ]
    await uploaders.system.load({"directus_files": [{"id": row["id"], "filename_disk": name.replace("\0", "")}]})
    read = await uploaders.ask("ada", "GET", f"/assets/{row['id']}")
    gone = await uploaders.ask("ada", "DELETE", f"/files/{row['id']}")

    assert [answer.status_code for answer in refused] == [400, 400, 403]
    assert (read.status_code, gone.status_code) == (404, 204)
    assert state_of(uploaders)["out.png"] == b"untouched"
    assert uploaders.stored == [row["filename_disk"]]


async def test_cve_2025_55746_whoever_may_not_changes_no_file_and_adds_none(uploaders):
    """Contents of files that are there, or new ones beside them, by anybody, without a trace in their rows."""
    row = told(await uploaders.upload("uma", png()))
    before, rows = state_of(uploaders), await checksum(uploaders.system)
    for who in (None, "vi", "ugo", "rex"):
        for path, method in ((f"/files/{row['id']}", "PATCH"), (f"/files/{uid('new')}", "PATCH"), ("/files", "POST")):
            if (who, method) == ("ugo", "POST"):
                continue  # he may
            for said in ({}, {"filename_disk": row["filename_disk"]}, {"id": row["id"], "storage": "local"}):
                assert (
                    refusal(await uploaders.upload(who, HTML, "a.html", path=path, method=method, **said)) == FORBIDDEN
                )

    assert state_of(uploaders) == before
    assert await checksum(uploaders.system) == rows
    assert uploaders.stored == [row["filename_disk"]]


LONG_FORMS = {  # which forms kept others busy: CVE-2024-24762, CVE-2024-53981, CVE-2024-47874, CVE-2025-54121
    "what follows the end": FILE + b"\r\n" * 500_000,
    "what comes before the beginning": b"\r\n" * 100_000 + FILE,
    "nearly boundaries": FILE.replace(b"\r\nx\r\n", b"\r\n" + b"\r\n--y" * 200_000 + b"\r\n"),
    "many headers": FILE.replace(b"\r\n\r\n", b"\r\n" + b"a: b\r\n" * 50_000 + b"\r\n"),
    "a long header": FILE.replace(b"a.png", b"a" * 500_000),
    "many fields": b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nx\r\n' * 20_000 + FILE,
    "a long field": b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\n' + b"x" * 3_000_000 + b"\r\n" + FILE,
}


@pytest.mark.parametrize("form", LONG_FORMS)
async def test_no_form_keeps_us_busy(uploaders, form):
    begun = time.process_time()
    answer = await uploaders.ask("ada", "POST", "/files", content=LONG_FORMS[form], headers=BOUNDARY)

    assert answer.status_code in (200, 400)
    assert time.process_time() - begun < 2
    assert len(uploaders.stored) == (answer.status_code == 200)


async def test_no_header_keeps_us_busy(uploaders):
    row = told(await uploaders.upload("ada", png()))
    begun = time.process_time()
    odd = "multipart/form-data; " + 'a="\\' * 5_000 + "; boundary=x"
    answer = await uploaders.ask("ada", "POST", "/files", content=FILE, headers={"Content-Type": odd})
    asked = {"Range": "bytes=" + "0-," * 5_000, "If-None-Match": '"a",' * 5_000, "If-Range": "x" * 10_000}
    whole = await uploaders.ask("ada", "GET", f"/assets/{row['id']}", headers=asked)

    assert answer.status_code in (200, 400)
    assert whole.content == png()
    assert time.process_time() - begun < 1
