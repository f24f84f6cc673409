"""Published holes of mails: to whom they go, where links lead, what can be written into them, and what is fetched."""

import ast
import asyncio
import socket
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from tests.flows.inviters import queued_mails
from tests.http.test_graphql import ADA, served
from tests.mail.server import MailServer
from tests.security.entry_points import DOORS, ask, code
from tests.world import uid

APP = Path(__file__).parents[2] / "app"
HOME, APPS = "https://users.example.com", "https://app.example.com/accept"
EVIL = "evil.example.net"
ELSEWHERE = {
    "host": EVIL,
    "x-forwarded-host": EVIL,
    "x-forwarded-server": EVIL,
    "x-forwarded-proto": "http",
    "x-forwarded-port": "666",
    "x-forwarded-prefix": f"/{EVIL}",
    "x-original-host": EVIL,
    "x-original-url": f"http://{EVIL}/",
    "x-rewrite-url": f"http://{EVIL}/",
    "x-host": EVIL,
    "forwarded": f"host={EVIL};proto=http",
    "origin": f"http://{EVIL}",
    "referer": f"http://{EVIL}/admin",
}
WRITING = {  # what makes each kind of mail go
    "request": {"email": "vi@example.com"},
    "register": {"email": "una@example.com", "password": "a good password"},
    "invite": {"email": "ida@example.com", "role": uid("role-Editor")},
}
URL_OF = {"request": "reset_url", "register": "verification_url", "invite": "invite_url"}


URLS = [f"http://{host}:{{port}}/here" for host in ("127.0.0.1", "localhost", "0.0.0.0", "[::1]", "intra.example.net")]
"""Where a mail may lead here too: to a server of somebody's."""


class Listener:
    """Somebody's server, which should never be asked for anything."""

    def __init__(self):
        self.asked = []

    @asynccontextmanager
    async def up(self):
        async with await asyncio.start_server(self._answer, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield self

    async def _answer(self, reader, writer):
        self.asked.append(await reader.read(100))
        writer.close()


@pytest_asyncio.fixture(scope="module")
async def listener():
    async with Listener().up() as listener:
        yield listener


@pytest_asyncio.fixture(scope="module")
async def kept_post(members_db, listener):
    """A client of a server that sends mail, and the mail server that takes it."""
    listed = (
        *members_db.settings.password_reset_url_allow_list,
        *(url.format(port=listener.port) for url in URLS),
    )
    kinds = ("user_invite", "user_register", "password_reset")
    async with MailServer().up() as mail:
        smtp = {"email_transport": "smtp", "email_smtp_host": "127.0.0.1", "email_smtp_port": mail.port}
        settings = {**smtp, "public_url": HOME, **{f"{kind}_url_allow_list": listed for kind in kinds}}
        async with served(members_db.settings.model_copy(update=settings)) as client:
            yield client, mail


@pytest.fixture
def post(members, kept_post):
    """The same, with people to write to, and no letter yet."""
    kept_post[1].letters.clear()
    return kept_post


async def letters(mail, wanted):
    """So many letters, as soon as they are there."""
    async with asyncio.timeout(10):
        while len(mail.letters) < wanted:  # noqa: ASYNC110 - the server knows nothing of who waits
            await asyncio.sleep(0.01)
    assert len(mail.letters) == wanted
    return mail.letters


async def have_written(client, door, flow, **more):
    headers = {**(ADA if flow == "invite" else {}), **more.pop("headers", {})}
    return await ask(client, door, flow, headers=headers, **{**WRITING[flow], **more})


async def test_ghsa_3529_5m8x_rpv3_and_cve_2023_49097_a_link_leads_home_whatever_a_request_says(post):
    """Links made from the Host or X-Forwarded-Host of whoever asked."""
    client, mail = post
    for door in DOORS:
        for flow in WRITING:
            assert code(await have_written(client, door, flow, headers=ELSEWHERE)) is None

    for letter in await letters(mail, 2 * len(WRITING)):
        assert EVIL not in str(letter.message)
        assert f"{HOME}/" in letter.plain
        assert {urlsplit(href).netloc for href in hrefs(letter.html)} == {"users.example.com"}


async def test_cve_2024_27295_and_pr_28144_a_mail_goes_to_the_address_that_is_stored(post):
    """A reset or a verification that was sent to the look-alike address that somebody submitted."""
    client, mail = post
    alike = {
        "request": ("VI@Example.COM", "\u212ait@example.com", "ví@example.com", "vı@example.com", "vі@example.com"),  # noqa: RUF001
        "register": ("UNA@example.COM",),
        "invite": ("IDA@EXAMPLE.com",),
    }
    for door in DOORS:
        for flow, emails in alike.items():
            for email in emails:
                assert code(await have_written(client, door, flow, email=email)) is None

    sent = [(letter.to, str(letter.message["to"])) for letter in await letters(mail, 8)]
    stored = ["vi@example.com", "kit@example.com", "una@example.com", "ida@example.com"]
    assert sorted(sent) == sorted([([email], email) for email in stored] * 2)


class Tags(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.seen = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))


def hrefs(html):
    return [attributes["href"] for _, attributes in Tags(html).seen if "href" in attributes]


def shape(html):
    """What a page is made of, whatever it says and wherever it leads."""
    return [(tag, sorted(attributes)) for tag, attributes in Tags(html).seen]


INJECTED = [
    '?a="><script>alert(1)</script>',
    "?a='><img/src=x/onerror=alert(1)>",
    '?"onmouseover="alert(1)',
    "?<a/href=http://evil.example.net>",
    "?a=%22%3E%3Cscript%3E&lt;script&gt;",
    '?token=<script>{{config}}#"><script>',
]


async def test_cve_2023_27474_nothing_is_written_into_a_mail_by_its_url(post, members):
    """HTML through the query of a reset's URL; also of an invitation's, and of a verification's."""
    client, mail = post
    for flow in WRITING:
        assert code(await have_written(client, "rest", flow)) is None
    plain = {letter.to[0]: shape(letter.html) for letter in await letters(mail, 3)}
    mail.letters.clear()
    for at, more in enumerate(INJECTED):
        for flow, url in URL_OF.items():
            written = await have_written(client, DOORS[at % 2], flow, **{url: APPS + more})
            assert code(written) is None or flow == "invite"

    async with asyncio.timeout(10):
        while any(recipient for _, recipient, _ in await queued_mails(members)):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)
    assert len(mail.letters) >= 2 * len(INJECTED)
    for letter in mail.letters:
        assert shape(letter.html) == plain[letter.to[0]]
        assert not any(sign in letter.html.lower() for sign in ("<script", "<img", "evil.example.net>"))
        for href in hrefs(letter.html):
            assert href.startswith(f"{APPS}?")
            assert {letter.plain.count(href), len(parse_qs(urlsplit(href).query)["token"])} == {1}


LEADING_AWAY = (
    f"https://app.example.com.{EVIL}/accept",
    f"https://app.example.com@{EVIL}/accept",
    f"https://{EVIL}/accept#https://app.example.com/accept",
    f"https://{EVIL}\\@app.example.com/accept",
    "https://app.example.com/accept%2f..%2fevil",
    "https://app.example.com//accept",
    "https://app.example.com/accept;evil",
    "https://app.example.com:8443/accept",
    "//app.example.com/accept",
    "/accept",
    "javascript:alert(1)//https://app.example.com/accept",
    "data:text/html,https://app.example.com/accept",
    'https://app.example.com/accept"><script>',
    "https://app.example.com/accept\r\nBcc: eve@example.net",
)


async def test_cve_2026_22032_and_cve_2026_35411_no_mail_leads_to_where_the_list_does_not(post, members):
    """Open redirects, also CVE-2024-28239: through the links of mails, which is all that leads anywhere."""
    client, _ = post
    for at, url in enumerate(LEADING_AWAY):
        for flow, name in URL_OF.items():
            assert code(await have_written(client, DOORS[at % 2], flow, **{name: url})) == "INVALID_PAYLOAD", flow
    assert await queued_mails(members) == []


def test_cve_2024_28239_there_are_two_redirects():
    """One leads to a page of our own: see the test of it that test_rows.py names. One to where a setting says."""
    redirecting = set()
    for module in (APP / "http").glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            said = node.value if isinstance(node, ast.Constant) else getattr(node, "id", "")
            if said in (b"location", "location", "Location", b"refresh", "RedirectResponse"):
                redirecting.add(module.name)

    assert redirecting == {"account.py", "server.py"}


@pytest.mark.parametrize("path", [f"//{EVIL}", f"//{EVIL}/%2e%2e", f"/\\{EVIL}", "/users/", "/auth/login/", "/admin"])
async def test_cve_2024_28239_no_path_leads_away(kept_post, path):
    client, _ = kept_post
    for method in ("GET", "HEAD", "POST"):
        answer = await client.request(method, f"http://rollcall{path}?redirect=http://{EVIL}&continue=//{EVIL}")
        assert "location" not in answer.headers
        assert answer.status_code // 100 != 3


async def test_ssrf_no_url_that_somebody_gives_is_ever_fetched(post, listener, monkeypatch):
    """CVE-2023-26492, CVE-2024-39699, CVE-2024-46990, CVE-2026-35409 and CVE-2026-61835."""
    client, mail = post
    names, look_up = [], socket.getaddrinfo

    def looked_up(host, *more, **how):
        names.append(host)
        return look_up(host, *more, **how)

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    urls = [url.format(port=listener.port) for url in URLS]
    for at, url in enumerate(urls):
        for flow, name in URL_OF.items():
            assert code(await have_written(client, DOORS[at % 2], flow, **{name: url})) is None
    assert all("/here?token=" in letter.plain for letter in await letters(mail, len(urls) * len(URL_OF)))
    for value in (urls[0], "new@intra.example.net"):
        for name in ("avatar", "title", "description", "location", "theme_light"):
            await client.patch("/users/me", json={name: value}, headers=ADA)
        for name in ("project_url", "project_logo", "public_background", "custom_css"):
            await client.patch("/settings", json={name: value}, headers=ADA)
        await client.post("/users", json={"email": value, "avatar": value}, headers=ADA)
        await client.post("/users/invite", json={"email": value, "role": uid("role-Editor")}, headers=ADA)
        await client.post("/users/register", json={"email": value, "password": "a good one"})
        await client.post("/auth/login", json={"email": value, "password": "x"}, headers={"origin": urls[0]})

    assert listener.asked == []
    assert [name for name in names if name not in ("127.0.0.1", b"127.0.0.1")] == []
    _, writer = await asyncio.open_connection("127.0.0.1", listener.port)  # somebody is listening
    writer.write(b"x")
    async with asyncio.timeout(5):
        while not listener.asked:  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0.01)
    writer.close()
    listener.asked.clear()
