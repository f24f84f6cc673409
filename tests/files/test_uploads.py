"""Uploads: what becomes of a form with files in it, and what is left of one that is refused."""

import asyncio
import stat
from typing import Any

import pytest
from sqlalchemy import func, select

from app.core.caller import SYSTEM
from app.core.errors import ServiceUnavailable
from app.db.models import Activity, File
from app.db.transaction import WriteTransaction
from tests.files.uploaders import HIDDEN_FOLDER, HTML, PICTURES_FOLDER, SVG, png
from tests.http.clients import BAD, FORBIDDEN, refusal, told
from tests.http.test_graphql import served
from tests.world import uid

TOO_LARGE = 413, "CONTENT_TOO_LARGE"


async def count(filing, what=File):
    async with filing.system.database.transaction() as connection:
        return await connection.scalar(select(func.count()).select_from(what))


async def test_a_file_is_a_row_and_a_content_under_a_name_of_ours(uploaders):
    given = {"title": "Me", "folder": PICTURES_FOLDER, "tags": '["a"]'}
    row = told(await uploaders.upload("uma", png(4, 5), "my-face_2.PNG", **given))

    assert row | given | {"tags": ["a"]} == row
    assert (row["type"], row["width"], row["height"], row["filesize"]) == ("image/png", 4, 5, len(png(4, 5)))
    assert (row["storage"], row["filename_disk"]) == ("local", f"{row['id']}.png")
    assert (row["filename_download"], row["description"]) == ("my-face_2.PNG", "Uploaded")
    assert row["uploaded_by"] == uid("uma")
    assert row["uploaded_on"]
    assert row["modified_on"]
    assert uploaders.stored == [row["filename_disk"]]
    content = uploaders.folder / row["filename_disk"]
    assert content.read_bytes() == png(4, 5)
    assert stat.S_IMODE(content.stat().st_mode) == 0o600


async def test_a_title_is_made_of_the_files_name(uploaders):
    assert told(await uploaders.upload("uma", b"%PDF-1.4", "team-list_2 final.pdf"))["title"] == "Team List 2 Final"


async def test_several_files_are_several_rows_each_with_what_was_said_before_it(uploaders):
    form = [
        ("title", (None, "One")),
        ("file", ("1.png", png(), "image/png")),
        ("file", ("2.txt", "zwei", "text/plain; charset=UTF-8")),
        ("title", (None, "Three")),
        ("folder", (None, PICTURES_FOLDER)),
        ("file", ("3.png", png(9, 9), "image/png")),
    ]
    answer = await uploaders.request("uma", "POST", "/files?fields=title,folder,type,width,charset", files=form)

    assert told(answer) == [
        {"title": "One", "folder": None, "type": "image/png", "width": 2, "charset": None},
        {"title": "2", "folder": None, "type": "text/plain", "width": None, "charset": "utf-8"},
        {"title": "Three", "folder": PICTURES_FOLDER, "type": "image/png", "width": 9, "charset": None},
    ]
    assert len(uploaders.stored) == await count(uploaders) == 3


async def test_of_several_files_all_are_kept_or_none(uploaders):
    form = [("file", ("1.png", png(), "image/png")), ("title", (None, "Forbidden")), ("file", ("2.png", png(), "x/y"))]
    answer = await uploaders.request("uma", "POST", "/files", files=form)

    assert refusal(answer) == (400, "FAILED_VALIDATION")
    assert uploaders.stored == []
    assert await count(uploaders) == 0


REFUSED = [  # who, what is said, and what that is answered with
    ("vi", {}, FORBIDDEN),
    (None, {}, FORBIDDEN),
    ("tess", {}, FORBIDDEN),
    ("uma", {"title": "Forbidden"}, (400, "FAILED_VALIDATION")),
    ("uma", {"folder": HIDDEN_FOLDER}, FORBIDDEN),
    ("uma", {"folder": uid("nowhere")}, (400, "INVALID_FOREIGN_KEY")),
    ("uma", {"location": "x"}, FORBIDDEN),
    ("uma", {"no_such_field": "x"}, FORBIDDEN),
    ("uma", {"filename_disk": "../../x"}, FORBIDDEN),
    ("uma", {"title": "x" * 256}, (400, "VALUE_TOO_LONG")),
    ("uma", {"tags": "no json"}, BAD),
]


@pytest.mark.parametrize(("who", "said", "refused"), REFUSED)
async def test_whoever_is_refused_has_nothing_kept_and_not_even_begun(uploaders, monkeypatch, who, said, refused):
    monkeypatch.setattr("app.storage.local._create_draft", None)
    trail = await count(uploaders, Activity)
    answer = await uploaders.upload(who, png(), **said)

    assert refusal(answer) == refused
    assert uploaders.stored == []
    assert (await count(uploaders), await count(uploaders, Activity)) == (0, trail)


async def test_whoever_may_not_upload_at_all_is_told_before_a_byte_is_read(uploaders):
    async def unread():
        raise AssertionError("the body was asked for")
        yield b""

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for who in (None, "vi"):
        assert refusal(await uploaders.request(who, "POST", "/files", content=unread(), headers=headers)) == FORBIDDEN


@pytest.mark.parametrize(("who", "content", "kept"), [("lou", 999, True), ("lou", 1000, False), ("max", 10, False)])
async def test_a_rule_may_look_at_what_only_the_bytes_tell(uploaders, who, content, kept):
    answer = await uploaders.upload(who, b"x" * content, "a.txt", "text/plain")

    assert answer.is_success == kept
    assert len(uploaders.stored) == await count(uploaders) == int(kept)


@pytest.mark.parametrize("size", [10_000, 400_000])
async def test_a_file_is_as_large_as_allowed_and_no_larger(uploaders, size):
    limited = uploaders.system.settings.model_copy(update={"files_max_upload_size": size, "max_payload_size": 5_000})
    async with served(limited) as client:
        other = uploaders._replace(client=client)
        assert told(await other.upload("uma", b"x" * size))["filesize"] == size
        before = uploaders.stored
        assert refusal(await other.upload("uma", b"x" * (size + 1))) == TOO_LARGE

    assert uploaders.stored == before
    assert await count(uploaders) == 1


async def test_a_client_that_leaves_midway_leaves_nothing(uploaders):
    begun = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    sent, seen = [begun, *(b"y" * 100_000 for _ in range(8))], []
    answered: list[Any] = []

    async def receive():
        seen.append(uploaders.stored)
        return {"type": "http.request", "body": sent.pop(0), "more_body": True} if sent else {"type": "http.disconnect"}

    headers = [(b"content-type", b"multipart/form-data; boundary=x"), (b"authorization", b"Bearer static-of-uma")]
    scope = {"type": "http", "method": "POST", "path": "/files", "headers": headers, "query_string": b""}
    await uploaders.client._transport.app(scope, receive, answered.append)

    assert seen[-1] != []
    assert uploaders.stored == answered == []
    assert await count(uploaders) == 0


TOO_LATE = b'Content-Disposition: form-data; name="title"\r\n\r\ntoo late\r\n--x--\r\n'
BODIES = [
    b"",
    b"--x",
    b"--x\r\n\r\n",
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\nhalf of it',
    b'--y\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\nx\r\n--y--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nonly this\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\n\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\n\xff\xfe\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="description"\r\n\r\n' + b"x" * 1024**2 + b"y\r\n--x--\r\n",
    b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 1001 + b"--x--\r\n",
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--x\r\n' + TOO_LATE,
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
async def test_a_form_that_is_none_is_a_400_and_leaves_nothing(uploaders, body):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}

    assert refusal(await uploaders.request("uma", "POST", "/files", content=body, headers=headers)) == BAD
    assert uploaders.stored == []


@pytest.mark.parametrize(
    "type_", ["multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'x' * 300}"]
)
async def test_a_form_needs_a_boundary(uploaders, type_):
    assert (
        refusal(await uploaders.request("uma", "POST", "/files", content=b"--", headers={"Content-Type": type_})) == BAD
    )


async def test_a_form_may_come_in_any_pieces(uploaders):
    body = b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nOne\r\n--x\r\nContent-Disposition: form-data; '
    body += b'name="file"; filename="\xc3\xa9.png"\r\nContent-Type: image/png\r\n\r\n' + png() + b"\r\n--x--\r\n"

    async def single():
        for at in range(len(body)):
            yield body[at : at + 1]

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    row = told(await uploaders.request("uma", "POST", "/files", content=single(), headers=headers))

    assert (row["title"], row["filename_download"], row["width"]) == ("One", "é.png", 2)
    assert (uploaders.folder / row["filename_disk"]).read_bytes() == png()


async def test_a_type_that_is_not_listed_is_refused_whatever_it_is_called(uploaders):
    listed = uploaders.system.settings.model_copy(update={"files_mime_type_allow_list": ("image/png", "text/*")})
    async with served(listed) as client:
        other = uploaders._replace(client=client)
        for content, claimed in ((SVG, "image/png"), (b"GIF89a", "image/png"), (b"no picture", "image/png")):
            assert refusal(await other.upload("uma", content, "a.png", claimed)) == BAD
        assert uploaders.stored == []
        assert told(await other.upload("uma", png(), "a.bin", "application/x"))["type"] == "image/png"
        assert told(await other.upload("uma", HTML, "a.txt", "text/plain"))["type"] == "text/html"


async def test_another_content_takes_the_place_of_one(uploaders):
    first = told(await uploaders.upload("uma", png(), "a.png", title="A"))
    path = f"/files/{first['id']}"
    second = told(await uploaders.upload("uma", b"GIF89a\7\0\10\0", "b.gif", "x/y", path, "PATCH", description="B"))

    assert (second["title"], second["description"], second["filename_download"]) == ("A", "B", "b.gif")
    assert (second["type"], second["width"], second["height"], second["filesize"]) == ("image/gif", 7, 8, 10)
    assert second["modified_by"] == uid("uma")
    assert second["filename_disk"] != first["filename_disk"]
    assert uploaders.stored == [second["filename_disk"]]


@pytest.mark.parametrize(
    ("who", "said", "refused"),
    [
        ("ugo", {}, FORBIDDEN),
        ("vi", {}, FORBIDDEN),
        (None, {}, FORBIDDEN),
        ("tess", {}, FORBIDDEN),
        ("uma", {"folder": HIDDEN_FOLDER}, FORBIDDEN),
        ("uma", {"id": uid("other")}, BAD),
    ],
)
async def test_whoever_may_not_change_a_file_loses_nothing_of_it(uploaders, who, said, refused):
    row = told(await uploaders.upload("uma", png(), "a.png"))
    answer = await uploaders.upload(who, b"other", "b.txt", "text/plain", f"/files/{row['id']}", "PATCH", **said)

    assert refusal(answer) == refused
    assert uploaders.stored == [row["filename_disk"]]
    assert told(await uploaders.request("ada", "GET", f"/files/{row['id']}")) == row
    assert (await uploaders.request("uma", "GET", f"/assets/{row['id']}")).content == png()


async def test_a_form_without_a_file_changes_what_is_said_of_one(uploaders):
    row = told(await uploaders.upload("uma", png()))
    changed = await uploaders.request("tess", "PATCH", f"/files/{row['id']}", files={"title": (None, "New")})
    several = [("file", ("a", b"a", "x/y")), ("file", ("b", b"b", "x/y"))]

    assert told(changed)["title"] == "New"
    assert refusal(await uploaders.request("uma", "PATCH", f"/files/{row['id']}", files=several)) == BAD
    assert uploaders.stored == [row["filename_disk"]]


async def by_graphql(filing, query):
    answer = await filing.request("ada", "POST", "/graphql/system", json={"query": query})
    assert "errors" not in answer.json(), answer.text


async def by_python(filing, keys):
    await filing.system.directory(SYSTEM)["files"].delete_many(keys)


TAKEN_AWAY = {
    "one": lambda filing, keys: asyncio.gather(*(filing.request("uma", "DELETE", f"/files/{key}") for key in keys)),
    "batch": lambda filing, keys: filing.request("uma", "DELETE", "/files", json=keys),
    "query": lambda filing, keys: filing.request(
        "ada", "DELETE", "/files", json={"query": {"filter": {}, "limit": -1}}
    ),
    "graphql": lambda filing, keys: by_graphql(
        filing, f'mutation {{ delete_files_items(ids: ["{keys[0]}", "{keys[1]}"]) {{ ids }} }}'
    ),
    "python": by_python,
}


@pytest.mark.parametrize("way", TAKEN_AWAY)
async def test_a_content_goes_with_its_row(uploaders, way):
    keys = [told(await uploaders.upload("uma", png()))["id"] for _ in range(2)]
    await TAKEN_AWAY[way](uploaders, keys)

    assert await count(uploaders) == 0
    assert uploaders.stored == []


async def test_a_content_stays_where_its_row_does(uploaders):
    rows = [told(await uploaders.upload(who, png())) for who in ("uma", "ugo")]
    answer = await uploaders.request("uma", "DELETE", "/files", json=[row["id"] for row in rows])

    assert refusal(answer) == FORBIDDEN
    assert uploaders.stored == sorted(row["filename_disk"] for row in rows)


async def test_a_row_goes_though_its_content_can_not(uploaders, monkeypatch):
    row = told(await uploaders.upload("uma", png()))

    async def away(self, name):
        raise ServiceUnavailable

    monkeypatch.setattr("app.storage.local.LocalStorage.remove", away)

    assert (await uploaders.request("uma", "DELETE", f"/files/{row['id']}")).status_code == 204
    assert await count(uploaders) == 0
    assert uploaders.stored == [row["filename_disk"]]


async def test_no_row_is_ever_without_its_content_not_even_where_nobody_knows_whether_it_is_there(
    uploaders, monkeypatch
):
    keep = WriteTransaction.commit

    async def keep_and_lose(self):
        await keep(self)
        raise ServiceUnavailable

    monkeypatch.setattr(WriteTransaction, "commit", keep_and_lose)
    answer = await uploaders.upload("uma", png())
    monkeypatch.undo()
    (row,) = told(await uploaders.request("ada", "GET", "/files"))

    assert refusal(answer) == (503, "SERVICE_UNAVAILABLE")
    assert uploaders.stored == [row["filename_disk"]]


async def test_a_disk_that_is_full_is_a_503_and_nothing_is_left(uploaders, monkeypatch):
    def full(file, piece):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("app.storage.local._write", full)

    assert refusal(await uploaders.upload("uma", png())) == (503, "SERVICE_UNAVAILABLE")
    assert uploaders.stored == []
    assert await count(uploaders) == 0


async def test_nobody_says_where_a_content_lies(uploaders):
    hers, his = [told(await uploaders.upload(who, png())) for who in ("uma", "ugo")]
    lies = {"filename_disk": hers["filename_disk"]}
    new = {"storage": "local", "filename_download": "a", **lies}
    refused = [
        await uploaders.request("ugo", "PATCH", f"/files/{his['id']}", json=lies),
        await uploaders.request("ugo", "PATCH", f"/files/{his['id']}", json={"storage": "other"}),
        await uploaders.request("ugo", "PATCH", f"/files/{his['id']}", json={"filename_disk": "../../etc/passwd"}),
        await uploaders.request("ada", "POST", "/files", json=new),
    ]

    assert [refusal(answer) for answer in refused] == [BAD] * 4
    assert (
        told(await uploaders.request("ugo", "PATCH", f"/files/{his['id']}", json=his | {"title": "T"}))["title"] == "T"
    )
    assert (await uploaders.request("ugo", "GET", f"/assets/{his['id']}")).content == png()


async def test_a_policy_can_not_fill_in_where_a_content_lies(uploaders):
    hers = told(await uploaders.upload("uma", png()))
    presets = {"presets": {"filename_disk": hers["filename_disk"], "storage": "local"}}
    await uploaders.request("ada", "PATCH", "/permissions/302", json=presets)
    his = told(await uploaders.upload("ugo", b"mine", "a.txt", "text/plain"))

    assert refusal(await uploaders.request("ugo", "PATCH", f"/files/{his['id']}", json={"title": "x"})) == BAD


async def test_a_key_of_ones_own_is_taken_and_one_that_is_taken_already_harms_nobody(uploaders):
    key = uid("my-file")
    row = told(await uploaders.upload("ada", png(), id=key))
    again = await uploaders.upload("ada", b"other", id=key)

    assert row["id"] == key
    assert refusal(again) == (400, "RECORD_NOT_UNIQUE")
    assert (await uploaders.request("ada", "GET", f"/assets/{key}")).content == png()
    assert uploaders.stored == [row["filename_disk"]]


async def test_a_body_in_json_is_still_a_row_without_a_content(uploaders):
    row = told(
        await uploaders.request("ada", "POST", "/files", json={"storage": "local", "filename_download": "a.txt"})
    )

    assert row["filename_disk"] is None
    assert refusal(await uploaders.request("ada", "GET", f"/assets/{row['id']}")) == (404, "ROUTE_NOT_FOUND")
    assert told(await uploaders.upload("ada", png(), path=f"/files/{row['id']}", method="PATCH"))["width"] == 2
    assert (await uploaders.request("ada", "GET", f"/assets/{row['id']}")).content == png()


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", f"/files/{uid('x')}"), ("PATCH", "/files"), ("POST", "/files/import"), ("POST", "/files/tus")],
)
async def test_a_form_leads_nowhere_else(uploaders, method, path):
    assert refusal(await uploaders.upload("ada", png(), path=path, method=method)) == (404, "ROUTE_NOT_FOUND")
