"""Assets: who may read a file's content, and the response with it."""

from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest
import pytest_asyncio

from tests.base_data import uid
from tests.files.uploaders import HIDDEN_FOLDER, HTML, PICTURES_FOLDER, PUBLIC_FOLDER, SVG, png
from tests.http.clients import FORBIDDEN, INVALID_CREDENTIALS, INVALID_PAYLOAD, ROUTE_NOT_FOUND, data_of, error_of
from tests.http.test_graphql import served
from tests.restoration import restore_rows

IMAGE = png(20, 10)
FOLDERS = {"loose": None, "pictures": PICTURES_FOLDER, "shown": PUBLIC_FOLDER, "hidden": HIDDEN_FOLDER}
CSP = "default-src 'none'; sandbox"


@pytest_asyncio.fixture(scope="module")
async def gallery(uploaders_db):
    """The asset path of one image in each folder; the one in no folder is Uma's."""
    rows = {}
    for folder_name, folder in FOLDERS.items():
        fields = {"folder": folder} if folder else {}
        rows[folder_name] = data_of(await uploaders_db.upload("ada" if folder else "uma", IMAGE, "ä b.png", **fields))
    yield {folder_name: f"/assets/{row['id']}" for folder_name, row in rows.items()}
    await restore_rows(uploaders_db.system)


READABLE_BY_USER = {
    "ada": {"loose", "pictures", "shown", "hidden"},
    "uma": {"loose"},
    "ugo": set(),
    "rex": {"pictures"},
    "nora": {"shown"},
    None: {"shown"},
}


@pytest.mark.parametrize("user", READABLE_BY_USER)
async def test_a_content_is_readable_exactly_by_those_who_may_read_its_row(uploaders_db, gallery, user):
    responses = {folder_name: await uploaders_db.request(user, "GET", path) for folder_name, path in gallery.items()}

    assert {
        folder_name for folder_name, response in responses.items() if response.content == IMAGE
    } == READABLE_BY_USER[user]
    assert {
        error_of(response) for folder_name, response in responses.items() if folder_name not in READABLE_BY_USER[user]
    } <= {FORBIDDEN}


@pytest.mark.both_databases
async def test_missing_and_forbidden_files_get_the_same_response(uploaders_db, gallery):
    responses = [
        await uploaders_db.request("rex", "GET", path)
        for path in (
            gallery["hidden"],
            f"/assets/{uid('nothing')}",
            "/assets/nothing",
            "/assets/..%2fpasswd",
        )
    ]

    assert len({response.content for response in responses}) == 1
    assert {error_of(response) for response in responses} == {FORBIDDEN}


async def test_an_invalid_token_is_rejected_for_public_files_too(uploaders_db, gallery):
    response = await uploaders_db.request(None, "GET", f"{gallery['shown']}?access_token=nobodys")

    assert error_of(response) == INVALID_CREDENTIALS


@pytest.mark.parametrize(("method", "path"), [("GET", "/assets"), ("GET", "/assets/a/b/c")])
async def test_a_path_without_a_key_or_with_extra_segments_is_not_found(uploaders_db, gallery, method, path):
    assert error_of(await uploaders_db.request("ada", method, path)) == ROUTE_NOT_FOUND


async def test_assets_accept_only_get_and_head(uploaders_db, gallery):
    for method in ("POST", "PATCH", "DELETE", "PUT"):
        assert (await uploaders_db.request("ada", method, gallery["shown"])).status_code == 405


@pytest.mark.parametrize("query", ["", "/any-name.exe", "?width=10&height=10&fit=cover", "?key=system-small-cover"])
async def test_the_response_has_its_type_and_headers_against_active_content(uploaders_db, gallery, query):
    response = await uploaders_db.request(None, "GET", gallery["shown"] + query)

    assert response.content == IMAGE
    assert {name: response.headers.get(name) for name in EXPECTED_HEADERS} == EXPECTED_HEADERS
    assert "etag" in response.headers
    assert parsedate_to_datetime(response.headers["last-modified"]).utcoffset() == timedelta(0)


EXPECTED_HEADERS = {
    "content-type": "image/png",
    "content-length": str(len(IMAGE)),
    "accept-ranges": "bytes",
    "x-content-type-options": "nosniff",
    "content-security-policy": CSP,
    "content-disposition": "inline; filename=\"_ b.png\"; filename*=UTF-8''%C3%A4%20b.png",
    "cache-control": "no-cache",
    "vary": "Authorization, Cookie",
}


async def test_head_returns_the_headers_of_get_without_a_body(uploaders_db, gallery):
    get, head = [await uploaders_db.request(None, method, gallery["shown"]) for method in ("GET", "HEAD")]

    assert head.content == b""
    assert head.headers == get.headers


@pytest.mark.parametrize(
    ("query", "disposition"),
    [
        ("?download", "attachment"),
        ("?download=", "attachment"),
        ("?download=true", "attachment"),
        ("?download=false", "inline"),
    ],
)
async def test_a_download_is_saved_under_the_files_own_name(uploaders_db, gallery, query, disposition):
    response = await uploaders_db.request(None, "GET", f"{gallery['shown']}/evil.bat{query}")

    assert response.headers["content-disposition"].startswith(f'{disposition}; filename="_ b.png"; ')


SIZE = len(IMAGE)
BYTE_RANGES = {  # the Range header, and the first and last byte of the response, or None for the whole file
    "bytes=0-0": (0, 0),
    "bytes=2-9": (2, 9),
    "bytes=5-": (5, SIZE - 1),
    "bytes=-4": (SIZE - 4, SIZE - 1),
    f"bytes=3-{SIZE * 2}": (3, SIZE - 1),
    f"bytes=-{SIZE * 2}": (0, SIZE - 1),
    f"bytes=0-{'9' * 19}": (0, SIZE - 1),
    "bytes=-": None,
    "bytes=9-2": None,
    "bytes=0-1,3-4": None,
    "lines=0-1": None,
    "bytes=a-b": None,
    "bytes=" + "0-," * 9000: None,
    f"bytes=0-{'9' * 5000}": None,
}


@pytest.mark.parametrize("byte_range", BYTE_RANGES, ids=range(len(BYTE_RANGES)))
async def test_a_range_request_returns_that_part(uploaders_db, gallery, byte_range):
    response = await uploaders_db.request(None, "GET", gallery["shown"], headers={"Range": byte_range})
    first, last = BYTE_RANGES[byte_range] or (0, SIZE - 1)

    assert response.status_code == (206 if BYTE_RANGES[byte_range] else 200)
    assert response.content == IMAGE[first : last + 1]
    assert response.headers["content-length"] == str(last + 1 - first)
    assert response.headers.get("content-range") == (
        f"bytes {first}-{last}/{SIZE}" if BYTE_RANGES[byte_range] else None
    )


@pytest.mark.parametrize("byte_range", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 5}", "bytes=-0"])
async def test_an_unsatisfiable_range_is_a_416(uploaders_db, gallery, byte_range):
    response = await uploaders_db.request(None, "GET", gallery["shown"], headers={"Range": byte_range})

    assert error_of(response) == (416, "RANGE_NOT_SATISFIABLE")
    assert response.headers["content-range"] == f"bytes */{SIZE}"


async def test_conditional_requests_for_an_unchanged_file_are_a_304(uploaders_db, gallery):
    first = await uploaders_db.request(None, "GET", gallery["shown"])
    etag, date = first.headers["etag"], first.headers["last-modified"]
    earlier = format_datetime(parsedate_to_datetime(date) - timedelta(seconds=1), usegmt=True)
    expected = {
        ("If-None-Match", etag): 304,
        ("If-None-Match", f'"other", W/{etag}'): 304,
        ("If-None-Match", "*"): 304,
        ("If-None-Match", '"other"'): 200,
        ("If-Modified-Since", date): 304,
        ("If-Modified-Since", earlier): 200,
        ("If-Modified-Since", "no date"): 200,
        ("If-Modified-Since", "Thu, 32 Jan 99999 00:00:00 GMT"): 200,
    }
    responses = {
        header: await uploaders_db.request(None, "GET", gallery["shown"], headers=dict([header])) for header in expected
    }
    not_modified = responses["If-None-Match", etag]
    both = {"If-None-Match": '"other"', "If-Modified-Since": date}

    assert {header: response.status_code for header, response in responses.items()} == expected
    assert (not_modified.content, not_modified.headers["etag"], not_modified.headers["cache-control"]) == (
        b"",
        etag,
        "no-cache",
    )
    assert not {"content-length", "content-type"} & not_modified.headers.keys()
    assert (await uploaders_db.request(None, "GET", gallery["shown"], headers=both)).status_code == 200
    assert (
        error_of(await uploaders_db.request("rex", "GET", gallery["hidden"], headers={"If-None-Match": "*"}))
        == FORBIDDEN
    )


async def test_a_range_is_ignored_unless_if_range_matches(uploaders_db, gallery):
    first = await uploaders_db.request(None, "GET", gallery["shown"])
    statuses = []
    for condition in (first.headers["etag"], first.headers["last-modified"], '"other"', f"W/{first.headers['etag']}"):
        headers = {"Range": "bytes=0-0", "If-Range": condition}
        statuses.append((await uploaders_db.request(None, "GET", gallery["shown"], headers=headers)).status_code)

    assert statuses == [206, 206, 200, 200]


async def test_only_public_responses_may_be_cached_for_the_configured_time(uploaders_db, gallery):
    settings = uploaders_db.system.settings.model_copy(update={"assets_cache_ttl": timedelta(days=1)})
    async with served(settings) as client:
        server = uploaders_db._replace(client=client)
        public = await server.request(None, "GET", gallery["shown"])
        with_credentials = [
            await server.request("ada", "GET", gallery["shown"]),
            await server.request(None, "GET", gallery["shown"], headers={"Cookie": "a=b"}),
        ]
        forbidden = await server.request(None, "GET", gallery["hidden"])

    assert (public.headers["cache-control"], public.headers["vary"]) == (
        "public, max-age=86400",
        "Authorization, Cookie",
    )
    assert [response.headers["cache-control"] for response in with_credentials] == ["no-store", "no-store"]
    assert forbidden.headers["cache-control"] == "no-cache"


MEDIA_TYPES = [  # content, claimed type, stored type, Content-Disposition
    (IMAGE, "text/html", "image/png", "inline"),
    (b"%PDF-1.7", "x/y", "application/pdf", "inline"),
    (b"ID3 music", "audio/mpeg", "audio/mpeg", "inline"),
    (b"film", "video/mp4", "video/mp4", "inline"),
    (b"a,b", "text/csv", "text/csv", "attachment"),
    (b"plain", "text/plain; charset=ISO-8859-1", "text/plain; charset=iso-8859-1", "attachment"),
    (b"alert(1)", "text/javascript", "text/javascript", "attachment"),
    (SVG, "image/svg+xml", "image/svg+xml", "attachment"),
    (SVG, "image/png", "image/svg+xml", "attachment"),
    (HTML, "image/png", "text/html", "attachment"),
    (b"GIF89a<script>alert(1)</script>", "text/html", "image/gif", "inline"),
    (b"no picture", "image/png", "application/octet-stream", "attachment"),
    (b"no pdf", "application/pdf", "application/octet-stream", "attachment"),
    (b"x", "no type", "application/octet-stream", "attachment"),
    (b"", "", "application/octet-stream", "attachment"),
]


async def test_active_content_is_an_attachment(uploaders):
    form = [("file", ("a.x", content, claimed)) for content, claimed, *_ in MEDIA_TYPES]
    rows = data_of(await uploaders.request("uma", "POST", "/files", files=form))
    for row, (content, _, type_, disposition) in zip(rows, MEDIA_TYPES, strict=True):
        response = await uploaders.request("ada", "GET", f"/assets/{row['id']}")
        assert response.content == content
        assert response.headers["content-type"] == type_
        assert response.headers["content-disposition"].startswith(disposition)
        assert (response.headers["content-security-policy"], response.headers["x-content-type-options"]) == (
            CSP,
            "nosniff",
        )


async def test_a_type_changed_later_does_not_make_content_active(uploaders):
    row = data_of(await uploaders.upload("ada", SVG, "a.svg", "image/svg+xml"))
    for type_, expected, disposition in (
        ("text/html", "text/html", "attachment"),
        ("image/png", "image/png", "inline"),  # it is no image, so browsers display nothing
        ("x\r\ny: z", "application/octet-stream", "attachment"),
        ("ä/ö", "application/octet-stream", "attachment"),
        (None, "application/octet-stream", "attachment"),
    ):
        await uploaders.request("ada", "PATCH", f"/files/{row['id']}", json={"type": type_, "charset": "a\r\nb: c"})
        response = await uploaders.request("ada", "GET", f"/assets/{row['id']}")
        assert response.headers["content-type"] == expected
        assert response.headers["content-disposition"].startswith(disposition)


async def test_a_type_given_as_a_form_field_is_verified_too(uploaders):
    for claimed, type_ in (("text/csv", "text/csv"), ("image/png", "application/octet-stream"), ("a\r\nb", None)):
        row = data_of(await uploaders.upload("ada", b"a,b", "a.x", "x/y", type=claimed))
        assert row["type"] == (type_ or "application/octet-stream")


async def test_a_filename_cannot_inject_headers(uploaders):
    row = data_of(await uploaders.upload("ada", IMAGE))
    await uploaders.request(
        "ada", "PATCH", f"/files/{row['id']}", json={"filename_download": 'a"\r\nX: y; \\%ü\u202e.png'}
    )
    response = await uploaders.request("ada", "GET", f"/assets/{row['id']}")

    assert response.headers["content-disposition"] == (
        "inline; filename=\"a_X: y; ___.png\"; filename*=UTF-8''a%22X%3A%20y%3B%20%5C%25%C3%BC.png"
    )


async def test_a_replaced_content_has_another_etag(uploaders):
    row = data_of(await uploaders.upload("ada", IMAGE))
    path = f"/assets/{row['id']}"
    etag = (await uploaders.request("ada", "GET", path)).headers["etag"]
    await uploaders.upload("ada", png(10, 20), path=f"/files/{row['id']}", method="PATCH")
    response = await uploaders.request("ada", "GET", path, headers={"If-None-Match": etag})

    assert (response.status_code, response.content) == (200, png(10, 20))


async def test_files_stored_by_directus_are_served_and_no_path_leaves_the_folder(uploaders):
    uploaders.folder.mkdir(parents=True)
    (uploaders.folder / "of-directus.png").write_bytes(IMAGE)
    (uploaders.folder / "below").mkdir()
    (uploaders.folder / "below" / "too.png").write_bytes(IMAGE)
    (uploaders.folder.parent / "outside.png").write_bytes(b"secret")
    expected_by_name = {
        "of-directus.png": (200, None),
        "below/too.png": (200, None),
        "gone.png": ROUTE_NOT_FOUND,
        "below": ROUTE_NOT_FOUND,
        "../outside.png": ROUTE_NOT_FOUND,
        "below/../../outside.png": ROUTE_NOT_FOUND,
        str(uploaders.folder.parent / "outside.png"): ROUTE_NOT_FOUND,
        ".": ROUTE_NOT_FOUND,
        "": ROUTE_NOT_FOUND,
        "a\\b": ROUTE_NOT_FOUND,
    }
    file = {"storage": "local", "filename_download": "a.png", "type": "image/png"}
    rows = [{"id": uid(name or "none"), "filename_disk": name, **file} for name in expected_by_name]
    other_storage = {**rows[0], "id": uid("elsewhere"), "storage": "amazon"}
    await uploaders.system.load({"directus_files": [*rows, other_storage]})
    for row in rows:
        response = await uploaders.request("ada", "GET", f"/assets/{row['id']}")
        expected = expected_by_name[row["filename_disk"]]
        assert (response.status_code, None if response.is_success else error_of(response)[1]) == expected, row[
            "filename_disk"
        ]
        await uploaders.request("ada", "DELETE", f"/files/{row['id']}")
    rejected = await uploaders.request("ada", "GET", f"/assets/{other_storage['id']}")
    await uploaders.request("ada", "DELETE", f"/files/{other_storage['id']}")

    assert error_of(rejected) == (422, "UNPROCESSABLE_CONTENT")
    assert '"amazon"' in rejected.json()["errors"][0]["message"]
    assert uploaders.stored == ["below"]
    assert (uploaders.folder.parent / "outside.png").read_bytes() == b"secret"


async def test_files_are_not_imported_from_urls(uploaders):
    response = await uploaders.request(
        "ada", "POST", "/files/import", json={"url": "http://127.0.0.1/a.png", "data": {}}
    )

    assert error_of(response) == INVALID_PAYLOAD
    assert "multipart/form-data" in response.json()["errors"][0]["message"]
