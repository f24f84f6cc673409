"""Assets: who may read a content, and how it is told."""

from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest
import pytest_asyncio

from tests.files.uploaders import HIDDEN_FOLDER, HTML, PICTURES_FOLDER, PUBLIC_FOLDER, SVG, png
from tests.http.clients import BAD, FORBIDDEN, NOBODY, NOWHERE, refusal, told
from tests.http.test_graphql import served
from tests.world import uid
from tests.writes.conftest import RESTORE_ROWS_SQL, run_sql

PICTURE = png(20, 10)
PLACES = {"loose": None, "pictures": PICTURES_FOLDER, "shown": PUBLIC_FOLDER, "hidden": HIDDEN_FOLDER}
CSP = "default-src 'none'; sandbox"


@pytest_asyncio.fixture(scope="module")
async def gallery(uploaders_db):
    """A picture in each folder, by where it is; Uma's is in none."""
    rows = {}
    for place, folder in PLACES.items():
        said = {"folder": folder} if folder else {}
        rows[place] = told(await uploaders_db.upload("ada" if folder else "uma", PICTURE, "ä b.png", **said))
    yield {place: f"/assets/{row['id']}" for place, row in rows.items()}
    await run_sql(uploaders_db.system.settings.database_url, RESTORE_ROWS_SQL)


SEEN = {
    "ada": {"loose", "pictures", "shown", "hidden"},
    "uma": {"loose"},
    "ugo": set(),
    "rex": {"pictures"},
    "nora": {"shown"},
    None: {"shown"},
}


@pytest.mark.parametrize("who", SEEN)
async def test_a_content_is_read_exactly_where_its_row_may_be(uploaders_db, gallery, who):
    answers = {place: await uploaders_db.request(who, "GET", path) for place, path in gallery.items()}

    assert {place for place, answer in answers.items() if answer.content == PICTURE} == SEEN[who]
    assert {refusal(answer) for place, answer in answers.items() if place not in SEEN[who]} <= {FORBIDDEN}


async def test_what_is_not_there_answers_as_what_is_forbidden(uploaders_db, gallery):
    answers = [
        await uploaders_db.request("rex", "GET", path)
        for path in (
            gallery["hidden"],
            f"/assets/{uid('nothing')}",
            "/assets/nothing",
            "/assets/..%2fpasswd",
        )
    ]

    assert len({answer.content for answer in answers}) == 1
    assert {refusal(answer) for answer in answers} == {FORBIDDEN}


async def test_a_token_has_to_be_good(uploaders_db, gallery):
    assert refusal(await uploaders_db.request(None, "GET", f"{gallery['shown']}?access_token=nobodys")) == NOBODY


@pytest.mark.parametrize(("method", "path"), [("GET", "/assets"), ("GET", "/assets/a/b/c")])
async def test_an_asset_has_a_key_and_perhaps_a_name(uploaders_db, gallery, method, path):
    assert refusal(await uploaders_db.request("ada", method, path)) == NOWHERE


async def test_assets_are_only_read(uploaders_db, gallery):
    for method in ("POST", "PATCH", "DELETE", "PUT"):
        assert (await uploaders_db.request("ada", method, gallery["shown"])).status_code == 405


@pytest.mark.parametrize("query", ["", "/any-name.exe", "?width=10&height=10&fit=cover", "?key=system-small-cover"])
async def test_an_answer_says_what_it_is_and_that_nothing_of_it_runs(uploaders_db, gallery, query):
    answer = await uploaders_db.request(None, "GET", gallery["shown"] + query)

    assert answer.content == PICTURE
    assert {name: answer.headers.get(name) for name in TOLD} == TOLD
    assert "etag" in answer.headers
    assert parsedate_to_datetime(answer.headers["last-modified"]).utcoffset() == timedelta(0)


TOLD = {
    "content-type": "image/png",
    "content-length": str(len(PICTURE)),
    "accept-ranges": "bytes",
    "x-content-type-options": "nosniff",
    "content-security-policy": CSP,
    "content-disposition": "inline; filename=\"_ b.png\"; filename*=UTF-8''%C3%A4%20b.png",
    "cache-control": "no-cache",
    "vary": "Authorization, Cookie",
}


async def test_a_head_has_everything_but_the_body(uploaders_db, gallery):
    whole, head = [await uploaders_db.request(None, method, gallery["shown"]) for method in ("GET", "HEAD")]

    assert head.content == b""
    assert head.headers == whole.headers


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("?download", "attachment"),
        ("?download=", "attachment"),
        ("?download=true", "attachment"),
        ("?download=false", "inline"),
    ],
)
async def test_a_download_is_saved_under_the_files_own_name(uploaders_db, gallery, query, kind):
    answer = await uploaders_db.request(None, "GET", f"{gallery['shown']}/evil.bat{query}")

    assert answer.headers["content-disposition"].startswith(f'{kind}; filename="_ b.png"; ')


SIZE = len(PICTURE)
RANGES = {  # what is asked for, and which bytes that is; None for all of them
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


@pytest.mark.parametrize("asked", RANGES, ids=range(len(RANGES)))
async def test_a_part_is_had_by_its_range(uploaders_db, gallery, asked):
    answer = await uploaders_db.request(None, "GET", gallery["shown"], headers={"Range": asked})
    first, last = RANGES[asked] or (0, SIZE - 1)

    assert answer.status_code == (206 if RANGES[asked] else 200)
    assert answer.content == PICTURE[first : last + 1]
    assert answer.headers["content-length"] == str(last + 1 - first)
    assert answer.headers.get("content-range") == (f"bytes {first}-{last}/{SIZE}" if RANGES[asked] else None)


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 5}", "bytes=-0"])
async def test_a_part_that_is_not_there_is_a_416(uploaders_db, gallery, asked):
    answer = await uploaders_db.request(None, "GET", gallery["shown"], headers={"Range": asked})

    assert refusal(answer) == (416, "RANGE_NOT_SATISFIABLE")
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


async def test_who_has_it_already_is_told_so(uploaders_db, gallery):
    first = await uploaders_db.request(None, "GET", gallery["shown"])
    etag, date = first.headers["etag"], first.headers["last-modified"]
    earlier = format_datetime(parsedate_to_datetime(date) - timedelta(seconds=1), usegmt=True)
    asked = {
        ("If-None-Match", etag): 304,
        ("If-None-Match", f'"other", W/{etag}'): 304,
        ("If-None-Match", "*"): 304,
        ("If-None-Match", '"other"'): 200,
        ("If-Modified-Since", date): 304,
        ("If-Modified-Since", earlier): 200,
        ("If-Modified-Since", "no date"): 200,
        ("If-Modified-Since", "Thu, 32 Jan 99999 00:00:00 GMT"): 200,
    }
    answers = {pair: await uploaders_db.request(None, "GET", gallery["shown"], headers=dict([pair])) for pair in asked}
    known = answers["If-None-Match", etag]
    both = {"If-None-Match": '"other"', "If-Modified-Since": date}

    assert {pair: answer.status_code for pair, answer in answers.items()} == asked
    assert (known.content, known.headers["etag"], known.headers["cache-control"]) == (b"", etag, "no-cache")
    assert not {"content-length", "content-type"} & known.headers.keys()
    assert (await uploaders_db.request(None, "GET", gallery["shown"], headers=both)).status_code == 200
    assert (
        refusal(await uploaders_db.request("rex", "GET", gallery["hidden"], headers={"If-None-Match": "*"}))
        == FORBIDDEN
    )


async def test_a_part_is_told_only_of_the_content_that_it_is_meant_of(uploaders_db, gallery):
    first = await uploaders_db.request(None, "GET", gallery["shown"])
    statuses = []
    for condition in (first.headers["etag"], first.headers["last-modified"], '"other"', f"W/{first.headers['etag']}"):
        headers = {"Range": "bytes=0-0", "If-Range": condition}
        statuses.append((await uploaders_db.request(None, "GET", gallery["shown"], headers=headers)).status_code)

    assert statuses == [206, 206, 200, 200]


async def test_caches_keep_what_the_public_may_read_for_as_long_as_is_set_and_nothing_else(uploaders_db, gallery):
    settings = uploaders_db.system.settings.model_copy(update={"assets_cache_ttl": timedelta(days=1)})
    async with served(settings) as client:
        other = uploaders_db._replace(client=client)
        public = await other.request(None, "GET", gallery["shown"])
        somebodys = [
            await other.request("ada", "GET", gallery["shown"]),
            await other.request(None, "GET", gallery["shown"], headers={"Cookie": "a=b"}),
        ]
        refused = await other.request(None, "GET", gallery["hidden"])

    assert (public.headers["cache-control"], public.headers["vary"]) == (
        "public, max-age=86400",
        "Authorization, Cookie",
    )
    assert [answer.headers["cache-control"] for answer in somebodys] == ["no-store", "no-store"]
    assert refused.headers["cache-control"] == "no-cache"


TYPES = [  # what is uploaded, what it is called, what it is then, and how it is told
    (PICTURE, "text/html", "image/png", "inline"),
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


async def test_what_a_browser_could_run_is_never_shown_in_it(uploaders):
    form = [("file", ("a.x", content, claimed)) for content, claimed, *_ in TYPES]
    rows = told(await uploaders.request("uma", "POST", "/files", files=form))
    for row, (content, _, type_, kind) in zip(rows, TYPES, strict=True):
        answer = await uploaders.request("ada", "GET", f"/assets/{row['id']}")
        assert answer.content == content
        assert answer.headers["content-type"] == type_
        assert answer.headers["content-disposition"].startswith(kind)
        assert (answer.headers["content-security-policy"], answer.headers["x-content-type-options"]) == (CSP, "nosniff")


async def test_a_type_that_is_written_later_runs_nothing_either(uploaders):
    row = told(await uploaders.upload("ada", SVG, "a.svg", "image/svg+xml"))
    for type_, told_type, kind in (
        ("text/html", "text/html", "attachment"),
        ("image/png", "image/png", "inline"),  # which it isn't, so that nothing is to be seen
        ("x\r\ny: z", "application/octet-stream", "attachment"),
        ("ä/ö", "application/octet-stream", "attachment"),
        (None, "application/octet-stream", "attachment"),
    ):
        await uploaders.request("ada", "PATCH", f"/files/{row['id']}", json={"type": type_, "charset": "a\r\nb: c"})
        answer = await uploaders.request("ada", "GET", f"/assets/{row['id']}")
        assert answer.headers["content-type"] == told_type
        assert answer.headers["content-disposition"].startswith(kind)


async def test_a_type_that_is_said_in_the_form_is_a_claim_as_well(uploaders):
    for said, type_ in (("text/csv", "text/csv"), ("image/png", "application/octet-stream"), ("a\r\nb", None)):
        row = told(await uploaders.upload("ada", b"a,b", "a.x", "x/y", type=said))
        assert row["type"] == (type_ or "application/octet-stream")


async def test_a_name_can_not_write_a_header(uploaders):
    row = told(await uploaders.upload("ada", PICTURE))
    await uploaders.request("ada", "PATCH", f"/files/{row['id']}", json={"filename_download": 'a"\r\nX: y; \\%ü.png'})
    answer = await uploaders.request("ada", "GET", f"/assets/{row['id']}")

    assert answer.headers["content-disposition"] == (
        "inline; filename=\"a___X: y; ___.png\"; filename*=UTF-8''a%22%0D%0AX%3A%20y%3B%20%5C%25%C3%BC.png"
    )


async def test_another_content_is_another_to_caches_too(uploaders):
    row = told(await uploaders.upload("ada", PICTURE))
    path = f"/assets/{row['id']}"
    etag = (await uploaders.request("ada", "GET", path)).headers["etag"]
    await uploaders.upload("ada", png(10, 20), path=f"/files/{row['id']}", method="PATCH")
    answer = await uploaders.request("ada", "GET", path, headers={"If-None-Match": etag})

    assert (answer.status_code, answer.content) == (200, png(10, 20))


async def test_what_directus_stored_in_its_folder_is_there(uploaders):
    uploaders.folder.mkdir(parents=True)
    (uploaders.folder / "of-directus.png").write_bytes(PICTURE)
    (uploaders.folder / "below").mkdir()
    (uploaders.folder / "below" / "too.png").write_bytes(PICTURE)
    (uploaders.folder.parent / "outside.png").write_bytes(b"secret")
    lies = {
        "of-directus.png": (200, None),
        "below/too.png": (200, None),
        "gone.png": NOWHERE,
        "below": NOWHERE,
        "../outside.png": NOWHERE,
        "below/../../outside.png": NOWHERE,
        str(uploaders.folder.parent / "outside.png"): NOWHERE,
        ".": NOWHERE,
        "": NOWHERE,
        "a\\b": NOWHERE,
    }
    file = {"storage": "local", "filename_download": "a.png", "type": "image/png"}
    rows = [{"id": uid(name or "none"), "filename_disk": name, **file} for name in lies]
    elsewhere = {**rows[0], "id": uid("elsewhere"), "storage": "amazon"}
    await uploaders.system.load({"directus_files": [*rows, elsewhere]})
    for row in rows:
        answer = await uploaders.request("ada", "GET", f"/assets/{row['id']}")
        expected = lies[row["filename_disk"]]
        assert (answer.status_code, None if answer.is_success else refusal(answer)[1]) == expected, row["filename_disk"]
        await uploaders.request("ada", "DELETE", f"/files/{row['id']}")
    refused = await uploaders.request("ada", "GET", f"/assets/{elsewhere['id']}")
    await uploaders.request("ada", "DELETE", f"/files/{elsewhere['id']}")

    assert refusal(refused) == (422, "UNPROCESSABLE_CONTENT")
    assert '"amazon"' in refused.json()["errors"][0]["message"]
    assert uploaders.stored == ["below"]
    assert (uploaders.folder.parent / "outside.png").read_bytes() == b"secret"


async def test_nothing_is_fetched_from_elsewhere(uploaders):
    answer = await uploaders.request("ada", "POST", "/files/import", json={"url": "http://127.0.0.1/a.png", "data": {}})

    assert refusal(answer) == BAD
    assert "multipart/form-data" in answer.json()["errors"][0]["message"]
