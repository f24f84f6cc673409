"""Uploads: the rows and contents created from a multipart form, and the effects of a rejected one."""

import asyncio
import stat
from struct import pack
from typing import Any

import pytest
from sqlalchemy import func, select

from app.core.caller import SYSTEM
from app.core.errors import ServiceUnavailable
from app.db.models import Activity, File
from app.db.transaction import WriteTransaction
from tests.base_data import static_token, uid
from tests.core.test_media_types import FILES as IMAGE_FILES
from tests.core.test_media_types import IMAGES_FOLDER, tiff
from tests.files.uploaders import HIDDEN_FOLDER, HTML, PICTURES_FOLDER, SVG, png
from tests.http.clients import FORBIDDEN, INVALID_PAYLOAD, data_of, error_of, reason_of
from tests.http.test_graphql import served

TOO_LARGE = 413, "CONTENT_TOO_LARGE"


async def count(server, model=File):
    async with server.system.database.transaction() as connection:
        return await connection.scalar(select(func.count()).select_from(model))


async def test_an_upload_creates_a_row_and_a_content_named_by_its_id(uploaders):
    fields = {"title": "Me", "folder": PICTURES_FOLDER, "tags": '["a"]'}
    row = data_of(await uploaders.upload("uma", png(4, 5), "my-face_2.PNG", **fields))

    assert row | fields | {"tags": ["a"]} == row
    assert (row["type"], row["width"], row["height"], row["filesize"]) == ("image/png", 4, 5, str(len(png(4, 5))))
    assert (row["storage"], row["filename_disk"]) == ("local", f"{row['id']}.png")
    assert (row["filename_download"], row["description"]) == ("my-face_2.PNG", "Uploaded")
    assert row["uploaded_by"] == uid("uma")
    assert row["uploaded_on"]
    assert row["modified_on"]
    assert uploaders.stored == [row["filename_disk"]]
    content = uploaders.folder / row["filename_disk"]
    assert content.read_bytes() == png(4, 5)
    assert stat.S_IMODE(content.stat().st_mode) == 0o600


EXTENDED_FILENAMES = [  # parameters of Content-Disposition, name of the file
    (b"filename*=UTF-8''na%C3%AFve%20x.png", "naïve x.png"),
    (b"filename=\"a.png\"; filename*=UTF-8''na%C3%AFve.png", "naïve.png"),
    (b"filename*=utf-8'en'na%C3%AFve.png; filename=\"a.png\"", "naïve.png"),
    (b"filename*=iso-8859-1''%A3.png", "£.png"),
    (b"filename*=UTF-8''..%2F%E2%80%AEb.png", "b.png"),
    (b"filename*=UTF-8''%FF.png", "\ufffd.png"),
    (b"filename=\"\"; filename*=UTF-8''x.png", "x.png"),
    (b"filename=\"a.png\"; filename*=UTF-8''", "a.png"),
    (b"filename=\"a.png\"; filename*=koi8-r''%C1.png", "a.png"),
    (b'filename="a; filename*=b.png"', "a; filename*=b.png"),
    (b'filename="na%C3%AFve.png"', "na%C3%AFve.png"),
]


def form(*parts):
    """Return a form of parts: the parameters of their Content-Disposition, and their content."""
    lines = (b"--x\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n" + body + b"\r\n" for head, body in parts)
    return {"content": b"".join(lines) + b"--x--\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}


@pytest.mark.parametrize(("parameters", "filename"), EXTENDED_FILENAMES)
async def test_an_extended_filename_takes_precedence(uploaders, parameters, filename):
    """RFC 5987; Directus does the same."""
    response = await uploaders.request("uma", "POST", "/files", **form((b'name="file"; ' + parameters, png())))

    assert data_of(response)["filename_download"] == filename


@pytest.mark.parametrize("value", [b"bad.png", b"koi8-r''%C1.png"])
async def test_a_file_with_nothing_but_an_invalid_extended_filename_is_rejected(uploaders, value):
    response = await uploaders.request("uma", "POST", "/files", **form((b'name="file"; filename*=' + value, png())))

    assert reason_of(response).startswith("filename* has to be UTF-8 or ISO-8859-1, such as")
    assert uploaders.stored == []


async def test_the_text_null_is_null_and_title_and_name_then_have_their_defaults(uploaders):
    names = ("folder", "title", "description", "tags", "focal_point_x", "filename_download", "type", "id")
    row = data_of(await uploaders.upload("ada", png(), "my_face.png", **dict.fromkeys(names, "null")))

    assert {name: row[name] for name in names} == {
        "folder": None,
        "title": "My Face",
        "description": None,
        "tags": None,
        "focal_point_x": None,
        "filename_download": "my_face.png",
        "type": "image/png",
        "id": row["filename_disk"].removesuffix(".png"),
    }
    changed = {"description": " null ", "title": "null", "location": "Null"}
    row = data_of(await uploaders.upload("ada", png(), path=f"/files/{row['id']}", method="PATCH", **changed))
    assert (row["description"], row["title"], row["location"]) == (None, None, "Null")


async def test_an_empty_title_or_name_has_its_default_and_another_text_may_be_empty(uploaders):
    values = {"title": "", "filename_download": "", "description": ""}
    row = data_of(await uploaders.upload("ada", png(), "my_face.png", **values))

    assert {name: row[name] for name in values} == {
        "title": "My Face",
        "filename_download": "my_face.png",
        "description": "",
    }


@pytest.mark.parametrize(("field", "code"), [("folder", "INVALID_FOREIGN_KEY"), ("focal_point_x", "INVALID_PAYLOAD")])
async def test_an_empty_text_for_another_kind_of_value_is_rejected(uploaders, field, code):
    assert error_of(await uploaders.upload("ada", png(), **{field: ""})) == (400, code)
    assert uploaders.stored == []


@pytest.mark.parametrize("name", IMAGE_FILES)
async def test_an_image_has_its_type_and_the_size_in_which_it_is_shown(uploaders, name):
    content = (IMAGES_FOLDER / name).read_bytes()
    row = data_of(await uploaders.upload("uma", content, name, "application/octet-stream"))

    assert (row["type"], (row["width"], row["height"])) == IMAGE_FILES[name]


async def test_the_size_of_a_tiff_image_may_follow_megabytes_of_pixels(uploaders):
    head, directory = tiff(directory=1_500_000, orientation=8)
    content = head + b"x" * (1_500_000 - len(head)) + directory
    row = data_of(await uploaders.upload("uma", content, "a.tif"))

    assert (row["type"], row["width"], row["height"]) == ("image/tiff", 480, 640)
    assert row["filesize"] == str(len(content))
    assert (uploaders.folder / row["filename_disk"]).read_bytes() == content


@pytest.mark.parametrize(
    ("content", "field"),
    [(png()[:16] + b"\xff" * 4 + png()[20:], "width"), (png()[:20] + b"\x80\0\0\0" + png()[24:], "height")],
    ids=["width", "height"],
)
async def test_an_image_that_claims_more_pixels_than_can_be_stored_is_rejected(uploaders, content, field):
    response = await uploaders.upload("uma", content)

    assert error_of(response) == (400, "VALUE_OUT_OF_RANGE")
    assert response.json()["errors"][0]["extensions"]["field"] == field
    assert uploaders.stored == []


async def test_a_late_tiff_image_that_claims_too_many_pixels_leaves_no_file(uploaders):
    head, directory = tiff(directory=600_000)
    content = head + b"x" * (600_000 - len(head)) + directory.replace(pack("<I", 640), b"\xff" * 4)

    assert error_of(await uploaders.upload("uma", content, "a.tif")) == (400, "VALUE_OUT_OF_RANGE")
    assert uploaders.stored == []
    assert await count(uploaders) == 0


async def test_the_title_is_derived_from_the_filename(uploaders):
    assert data_of(await uploaders.upload("uma", b"%PDF-1.4", "team-list_2 final.pdf"))["title"] == "Team List 2 Final"


async def test_each_of_several_files_gets_the_fields_preceding_it(uploaders):
    form = [
        ("title", (None, "One")),
        ("file", ("1.png", png(), "image/png")),
        ("file", ("2.txt", "zwei", "text/plain; charset=UTF-8")),
        ("title", (None, "Three")),
        ("folder", (None, PICTURES_FOLDER)),
        ("file", ("3.png", png(9, 9), "image/png")),
    ]
    response = await uploaders.request("uma", "POST", "/files?fields=title,folder,type,width,charset", files=form)

    assert data_of(response) == [
        {"title": "One", "folder": None, "type": "image/png", "width": 2, "charset": None},
        {"title": "2", "folder": None, "type": "text/plain", "width": None, "charset": "utf-8"},
        {"title": "Three", "folder": PICTURES_FOLDER, "type": "image/png", "width": 9, "charset": None},
    ]
    assert len(uploaders.stored) == await count(uploaders) == 3


async def test_an_upload_of_several_files_is_all_or_nothing(uploaders):
    form = [("file", ("1.png", png(), "image/png")), ("title", (None, "Forbidden")), ("file", ("2.png", png(), "x/y"))]
    response = await uploaders.request("uma", "POST", "/files", files=form)

    assert error_of(response) == (400, "FAILED_VALIDATION")
    assert uploaders.stored == []
    assert await count(uploaders) == 0


REJECTED_UPLOADS = [  # user, form fields, expected error
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
    ("uma", {"tags": "no json"}, INVALID_PAYLOAD),
]


@pytest.mark.parametrize(("user", "fields", "expected"), REJECTED_UPLOADS)
async def test_a_rejected_upload_writes_nothing_to_the_storage(uploaders, monkeypatch, user, fields, expected):
    monkeypatch.setattr("app.storage.local._create_draft", None)
    activity_count = await count(uploaders, Activity)
    response = await uploaders.upload(user, png(), **fields)

    assert error_of(response) == expected
    assert uploaders.stored == []
    assert (await count(uploaders), await count(uploaders, Activity)) == (0, activity_count)


async def test_users_who_may_not_upload_are_rejected_before_the_body_is_read(uploaders):
    async def fail_when_read():
        raise AssertionError("the body was read")
        yield b""

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for user in (None, "vi"):
        assert (
            error_of(await uploaders.request(user, "POST", "/files", content=fail_when_read(), headers=headers))
            == FORBIDDEN
        )


@pytest.mark.parametrize(("user", "size", "is_stored"), [("lou", 999, True), ("lou", 1000, False), ("max", 10, False)])
async def test_rules_apply_to_the_size_and_type_of_the_content(uploaders, user, size, is_stored):
    response = await uploaders.upload(user, b"x" * size, "a.txt", "text/plain")

    assert response.is_success == is_stored
    assert len(uploaders.stored) == await count(uploaders) == int(is_stored)


@pytest.mark.parametrize("size", [10_000, 400_000])
async def test_the_maximum_upload_size_is_enforced(uploaders, size):
    limited = uploaders.system.settings.model_copy(update={"files_max_upload_size": size, "max_payload_size": 5_000})
    async with served(limited) as client:
        server = uploaders._replace(client=client)
        assert data_of(await server.upload("uma", b"x" * size))["filesize"] == str(size)
        before = uploaders.stored
        assert error_of(await server.upload("uma", b"x" * (size + 1))) == TOO_LARGE

    assert uploaders.stored == before
    assert await count(uploaders) == 1


async def test_a_disconnect_during_an_upload_leaves_no_file(uploaders):
    part_head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    chunks, stored_names = [part_head, *(b"y" * 100_000 for _ in range(8))], []
    messages: list[Any] = []

    async def receive():
        stored_names.append(uploaders.stored)
        return (
            {"type": "http.request", "body": chunks.pop(0), "more_body": True}
            if chunks
            else {"type": "http.disconnect"}
        )

    headers = [(b"content-type", b"multipart/form-data; boundary=x"), (b"authorization", b"Bearer static-of-uma")]
    scope = {"type": "http", "method": "POST", "path": "/files", "headers": headers, "query_string": b""}
    await uploaders.client._transport.app(scope, receive, messages.append)

    assert stored_names[-1] != []
    assert uploaders.stored == messages == []
    assert await count(uploaders) == 0


LATE_FIELD = b'Content-Disposition: form-data; name="title"\r\n\r\ntoo late\r\n--x--\r\n'
MALFORMED_BODIES = [
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
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--x\r\n' + LATE_FIELD,
]


@pytest.mark.parametrize("body", MALFORMED_BODIES, ids=range(len(MALFORMED_BODIES)))
async def test_a_malformed_form_is_a_400_and_leaves_no_file(uploaders, body):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}

    assert error_of(await uploaders.request("uma", "POST", "/files", content=body, headers=headers)) == INVALID_PAYLOAD
    assert uploaders.stored == []


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'x' * 300}"],
)
async def test_a_form_needs_a_valid_boundary(uploaders, content_type):
    headers = {"Content-Type": content_type}

    assert error_of(await uploaders.request("uma", "POST", "/files", content=b"--", headers=headers)) == INVALID_PAYLOAD


async def test_a_form_may_arrive_in_chunks_of_any_size(uploaders):
    body = b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nOne\r\n--x\r\nContent-Disposition: form-data; '
    body += b'name="file"; filename="\xc3\xa9.png"\r\nContent-Type: image/png\r\n\r\n' + png() + b"\r\n--x--\r\n"

    async def single_bytes():
        for i in range(len(body)):
            yield body[i : i + 1]

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    row = data_of(await uploaders.request("uma", "POST", "/files", content=single_bytes(), headers=headers))

    assert (row["title"], row["filename_download"], row["width"]) == ("One", "é.png", 2)
    assert (uploaders.folder / row["filename_disk"]).read_bytes() == png()


async def test_a_type_that_is_not_allowed_is_rejected_whatever_its_claimed_type(uploaders):
    settings = uploaders.system.settings.model_copy(update={"files_mime_type_allow_list": ("image/png", "text/*")})
    async with served(settings) as client:
        server = uploaders._replace(client=client)
        for content, claimed in ((SVG, "image/png"), (b"GIF89a", "image/png"), (b"no picture", "image/png")):
            assert error_of(await server.upload("uma", content, "a.png", claimed)) == INVALID_PAYLOAD
        assert uploaders.stored == []
        assert data_of(await server.upload("uma", png(), "a.bin", "application/x"))["type"] == "image/png"
        assert data_of(await server.upload("uma", HTML, "a.txt", "text/plain"))["type"] == "text/html"


async def test_a_content_is_replaced(uploaders):
    first = data_of(await uploaders.upload("uma", png(), "a.png", title="A"))
    path = f"/files/{first['id']}"
    second = data_of(await uploaders.upload("uma", b"GIF89a\7\0\10\0", "b.gif", "x/y", path, "PATCH", description="B"))

    assert (second["title"], second["description"], second["filename_download"]) == ("A", "B", "b.gif")
    assert (second["type"], second["width"], second["height"], second["filesize"]) == ("image/gif", 7, 8, "10")
    assert second["modified_by"] == uid("uma")
    assert second["filename_disk"] != first["filename_disk"]
    assert uploaders.stored == [second["filename_disk"]]


@pytest.mark.parametrize(
    ("user", "fields", "expected"),
    [
        ("ugo", {}, FORBIDDEN),
        ("vi", {}, FORBIDDEN),
        (None, {}, FORBIDDEN),
        ("tess", {}, FORBIDDEN),
        ("uma", {"folder": HIDDEN_FOLDER}, FORBIDDEN),
        ("uma", {"id": uid("other")}, INVALID_PAYLOAD),
    ],
)
async def test_a_rejected_replacement_leaves_the_file_unchanged(uploaders, user, fields, expected):
    row = data_of(await uploaders.upload("uma", png(), "a.png"))
    response = await uploaders.upload(user, b"other", "b.txt", "text/plain", f"/files/{row['id']}", "PATCH", **fields)

    assert error_of(response) == expected
    assert uploaders.stored == [row["filename_disk"]]
    assert data_of(await uploaders.request("ada", "GET", f"/files/{row['id']}")) == row
    assert (await uploaders.request("uma", "GET", f"/assets/{row['id']}")).content == png()


async def test_a_form_without_a_file_updates_only_the_row(uploaders):
    row = data_of(await uploaders.upload("uma", png()))
    response = await uploaders.request("tess", "PATCH", f"/files/{row['id']}", files={"title": (None, "New")})
    several = [("file", ("a", b"a", "x/y")), ("file", ("b", b"b", "x/y"))]

    assert data_of(response)["title"] == "New"
    assert error_of(await uploaders.request("uma", "PATCH", f"/files/{row['id']}", files=several)) == INVALID_PAYLOAD
    assert uploaders.stored == [row["filename_disk"]]


async def delete_by_graphql(server, query):
    response = await server.request("ada", "POST", "/graphql/system", json={"query": query})
    assert "errors" not in response.json(), response.text


async def delete_by_python(server, keys):
    await server.system.directory(SYSTEM)["files"].delete_many(keys)


DELETIONS = {
    "one": lambda server, keys: asyncio.gather(*(server.request("uma", "DELETE", f"/files/{key}") for key in keys)),
    "batch": lambda server, keys: server.request("uma", "DELETE", "/files", json=keys),
    "query": lambda server, keys: server.request(
        "ada", "DELETE", "/files", json={"query": {"filter": {}, "limit": -1}}
    ),
    "graphql": lambda server, keys: delete_by_graphql(
        server, f'mutation {{ delete_files_items(ids: ["{keys[0]}", "{keys[1]}"]) {{ ids }} }}'
    ),
    "python": delete_by_python,
}


@pytest.mark.parametrize("method", DELETIONS)
async def test_deleting_a_row_deletes_its_content(uploaders, method):
    keys = [data_of(await uploaders.upload("uma", png()))["id"] for _ in range(2)]
    await DELETIONS[method](uploaders, keys)

    assert await count(uploaders) == 0
    assert uploaders.stored == []


async def test_a_rejected_deletion_leaves_the_contents(uploaders):
    rows = [data_of(await uploaders.upload(user, png())) for user in ("uma", "ugo")]
    response = await uploaders.request("uma", "DELETE", "/files", json=[row["id"] for row in rows])

    assert error_of(response) == FORBIDDEN
    assert uploaders.stored == sorted(row["filename_disk"] for row in rows)


async def test_a_row_is_deleted_even_if_its_content_cannot_be(uploaders, monkeypatch):
    row = data_of(await uploaders.upload("uma", png()))

    async def fail(self, name):
        raise ServiceUnavailable

    monkeypatch.setattr("app.storage.local.LocalStorage.remove", fail)

    assert (await uploaders.request("uma", "DELETE", f"/files/{row['id']}")).status_code == 204
    assert await count(uploaders) == 0
    assert uploaders.stored == [row["filename_disk"]]


async def test_a_content_is_not_deleted_if_the_outcome_of_the_commit_is_unknown(uploaders, monkeypatch):
    commit = WriteTransaction.commit

    async def commit_and_fail(self):
        await commit(self)
        raise ServiceUnavailable

    monkeypatch.setattr(WriteTransaction, "commit", commit_and_fail)
    response = await uploaders.upload("uma", png())
    monkeypatch.undo()
    (row,) = data_of(await uploaders.request("ada", "GET", "/files"))

    assert error_of(response) == (503, "SERVICE_UNAVAILABLE")
    assert uploaders.stored == [row["filename_disk"]]


async def test_a_full_disk_is_a_503_and_leaves_no_file(uploaders, monkeypatch):
    def fail(file, piece):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("app.storage.local._write", fail)

    assert error_of(await uploaders.upload("uma", png())) == (503, "SERVICE_UNAVAILABLE")
    assert uploaders.stored == []
    assert await count(uploaders) == 0


async def test_the_storage_path_of_a_content_cannot_be_set(uploaders):
    other_row, own_row = [data_of(await uploaders.upload(user, png())) for user in ("uma", "ugo")]
    values = {"filename_disk": other_row["filename_disk"]}
    new_row = {"storage": "local", "filename_download": "a", **values}
    rejected = [
        await uploaders.request("ugo", "PATCH", f"/files/{own_row['id']}", json=values),
        await uploaders.request("ugo", "PATCH", f"/files/{own_row['id']}", json={"storage": "other"}),
        await uploaders.request("ugo", "PATCH", f"/files/{own_row['id']}", json={"filename_disk": "../../etc/passwd"}),
        await uploaders.request("ada", "POST", "/files", json=new_row),
    ]

    assert [error_of(response) for response in rejected] == [INVALID_PAYLOAD] * 4
    updated = await uploaders.request("ugo", "PATCH", f"/files/{own_row['id']}", json=own_row | {"title": "T"})
    assert data_of(updated)["title"] == "T"
    assert (await uploaders.request("ugo", "GET", f"/assets/{own_row['id']}")).content == png()


async def test_presets_cannot_set_the_storage_path_of_a_content(uploaders):
    other_row = data_of(await uploaders.upload("uma", png()))
    presets = {"presets": {"filename_disk": other_row["filename_disk"], "storage": "local"}}
    await uploaders.request("ada", "PATCH", "/permissions/302", json=presets)
    own_row = data_of(await uploaders.upload("ugo", b"mine", "a.txt", "text/plain"))

    response = await uploaders.request("ugo", "PATCH", f"/files/{own_row['id']}", json={"title": "x"})
    assert error_of(response) == INVALID_PAYLOAD


async def test_an_id_may_be_chosen_and_an_existing_one_is_rejected(uploaders):
    key = uid("my-file")
    row = data_of(await uploaders.upload("ada", png(), id=key))
    rejected = await uploaders.upload("ada", b"other", id=key)

    assert row["id"] == key
    assert error_of(rejected) == (400, "RECORD_NOT_UNIQUE")
    assert (await uploaders.request("ada", "GET", f"/assets/{key}")).content == png()
    assert uploaders.stored == [row["filename_disk"]]


async def test_a_json_body_creates_a_row_without_a_content(uploaders):
    row = data_of(
        await uploaders.request("ada", "POST", "/files", json={"storage": "local", "filename_download": "a.txt"})
    )

    assert row["filename_disk"] is None
    assert error_of(await uploaders.request("ada", "GET", f"/assets/{row['id']}")) == (404, "ROUTE_NOT_FOUND")
    assert data_of(await uploaders.upload("ada", png(), path=f"/files/{row['id']}", method="PATCH"))["width"] == 2
    assert (await uploaders.request("ada", "GET", f"/assets/{row['id']}")).content == png()


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.example.com"}, {"Sec-Fetch-Site": "same-site"}])
async def test_a_form_with_a_cookie_is_not_accepted_from_an_unknown_origin(uploaders, headers):
    cookie = {"Cookie": f"directus_session_token={static_token('ada')}"}
    response = await uploaders.upload(None, png(), headers={**cookie, **headers})

    assert (error_of(response), uploaders.stored) == ((403, "FORBIDDEN"), [])
    row = data_of(await uploaders.upload(None, png(), headers={**cookie, "Sec-Fetch-Site": "same-origin"}))
    assert row["uploaded_by"] == uid("ada")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", f"/files/{uid('x')}"), ("PATCH", "/files"), ("POST", "/files/import"), ("POST", "/files/tus")],
)
async def test_forms_are_not_accepted_by_other_endpoints(uploaders, method, path):
    assert error_of(await uploaders.upload("ada", png(), path=path, method=method)) == (404, "ROUTE_NOT_FOUND")
