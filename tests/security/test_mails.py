"""Known vulnerabilities through mails: the recipient, where links lead, injected HTML, and fetched URLs."""

import ast
import asyncio
import socket
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from tests.base_data import uid
from tests.flows.inviters import queued_mails
from tests.http.test_graphql import ADA, served
from tests.mail.server import MailServer
from tests.security.entry_points import ENTRY_POINTS, call_flow, error_code

pytestmark = pytest.mark.one_database

APP = Path(__file__).parents[2] / "app"
PUBLIC_URL, APP_URL = "https://users.example.com", "https://app.example.com/accept"
EVIL = "evil.example.net"
SPOOFED_HEADERS = {
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
FLOW_ARGUMENTS = {  # each sends one kind of mail
    "request": {"email": "vi@example.com"},
    "register": {"email": "una@example.com", "password": "a good password"},
    "invite": {"email": "ida@example.com", "role": uid("role-Editor")},
}
URL_ARGUMENTS = {"request": "reset_url", "register": "verification_url", "invite": "invite_url"}


INTERNAL_URLS = [
    f"http://{host}:{{port}}/here" for host in ("127.0.0.1", "localhost", "0.0.0.0", "[::1]", "intra.example.net")
]
"""URLs of an internal server, allowed as targets of links."""


class Listener:
    """An internal server that must not receive any request."""

    def __init__(self):
        self.requests = []

    @asynccontextmanager
    async def up(self):
        async with await asyncio.start_server(self._answer, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield self

    async def _answer(self, reader, writer):
        self.requests.append(await reader.read(100))
        writer.close()


@pytest_asyncio.fixture(scope="module")
async def listener():
    async with Listener().up() as listener:
        yield listener


@pytest_asyncio.fixture(scope="module")
async def mail_server(members_db, listener):
    """A client of a server that sends mail, and the mail server that receives it."""
    listed = (
        *members_db.settings.password_reset_url_allow_list,
        *(url.format(port=listener.port) for url in INTERNAL_URLS),
    )
    kinds = ("user_invite", "user_register", "password_reset")
    async with MailServer().up() as mail:
        smtp = {"email_transport": "smtp", "email_smtp_host": "127.0.0.1", "email_smtp_port": mail.port}
        settings = {**smtp, "public_url": PUBLIC_URL, **{f"{kind}_url_allow_list": listed for kind in kinds}}
        async with served(members_db.settings.model_copy(update=settings)) as client:
            yield client, mail


@pytest.fixture
def mails(members, mail_server):
    """The client and the mail server, with no mail received yet."""
    mail_server[1].mails.clear()
    return mail_server


async def wait_for_mails(mail, count):
    """Return the received mails once there are this many; fail after ten seconds, or if there are more."""
    async with asyncio.timeout(10):
        while len(mail.mails) < count:  # noqa: ASYNC110 - the mail server has no event to wait for
            await asyncio.sleep(0.01)
    assert len(mail.mails) == count
    return mail.mails


async def send_mail(client, entry_point, flow, **arguments):
    headers = {**(ADA if flow == "invite" else {}), **arguments.pop("headers", {})}
    return await call_flow(client, entry_point, flow, headers=headers, **{**FLOW_ARGUMENTS[flow], **arguments})


async def test_ghsa_3529_5m8x_rpv3_and_cve_2023_49097_links_ignore_the_requests_host(mails):
    """Links were built from the `Host` or `X-Forwarded-Host` header."""
    client, mail = mails
    for entry_point in ENTRY_POINTS:
        for flow in FLOW_ARGUMENTS:
            assert error_code(await send_mail(client, entry_point, flow, headers=SPOOFED_HEADERS)) is None

    for received in await wait_for_mails(mail, 2 * len(FLOW_ARGUMENTS)):
        assert EVIL not in str(received.message)
        assert f"{PUBLIC_URL}/" in received.plain
        assert {urlsplit(href).netloc for href in hrefs(received.html)} == {"users.example.com"}


async def test_cve_2024_27295_and_pr_28144_mails_go_to_the_stored_address(mails):
    """Mails were sent to the submitted look-alike address."""
    client, mail = mails
    look_alikes = {
        "request": ("VI@Example.COM", "\u212ait@example.com", "ví@example.com", "vı@example.com", "vі@example.com"),  # noqa: RUF001
        "register": ("UNA@example.COM",),
        "invite": ("IDA@EXAMPLE.com",),
    }
    for entry_point in ENTRY_POINTS:
        for flow, emails in look_alikes.items():
            for email in emails:
                assert error_code(await send_mail(client, entry_point, flow, email=email)) is None

    recipients = [(received.to, str(received.message["to"])) for received in await wait_for_mails(mail, 8)]
    stored = ["vi@example.com", "kit@example.com", "una@example.com", "ida@example.com"]
    assert sorted(recipients) == sorted([([email], email) for email in stored] * 2)


class Tags(HTMLParser):
    """The tags of an HTML page with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def hrefs(html):
    return [attributes["href"] for _, attributes in Tags(html).tags if "href" in attributes]


def tag_structure(html):
    """Return the tags and attribute names of a page, without texts and values."""
    return [(tag, sorted(attributes)) for tag, attributes in Tags(html).tags]


INJECTED = [
    '?a="><script>alert(1)</script>',
    "?a='><img/src=x/onerror=alert(1)>",
    '?"onmouseover="alert(1)',
    "?<a/href=http://evil.example.net>",
    "?a=%22%3E%3Cscript%3E&lt;script&gt;",
    '?token=<script>{{config}}#"><script>',
]


async def test_cve_2023_27474_urls_inject_no_html_into_mails(mails, members):
    """The query string of a reset, invitation or verification URL could inject HTML."""
    client, mail = mails
    for flow in FLOW_ARGUMENTS:
        assert error_code(await send_mail(client, "rest", flow)) is None
    expected = {received.to[0]: tag_structure(received.html) for received in await wait_for_mails(mail, 3)}
    mail.mails.clear()
    for i, query in enumerate(INJECTED):
        for flow, url in URL_ARGUMENTS.items():
            response = await send_mail(client, ENTRY_POINTS[i % 2], flow, **{url: APP_URL + query})
            assert error_code(response) is None or flow == "invite"

    async with asyncio.timeout(10):
        while any(recipient for _, recipient, _ in await queued_mails(members)):  # noqa: ASYNC110 - see `wait_for_mails`
            await asyncio.sleep(0.02)
    assert len(mail.mails) >= 2 * len(INJECTED)
    for received in mail.mails:
        assert tag_structure(received.html) == expected[received.to[0]]
        assert not any(sign in received.html.lower() for sign in ("<script", "<img", "evil.example.net>"))
        for href in hrefs(received.html):
            assert href.startswith(f"{APP_URL}?")
            assert {received.plain.count(href), len(parse_qs(urlsplit(href).query)["token"])} == {1}


REJECTED_URLS = (
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


async def test_cve_2026_22032_and_cve_2026_35411_urls_not_allowed_are_rejected(mails, members):
    """Open redirects, also CVE-2024-28239, through the links of mails."""
    client, _ = mails
    for i, url in enumerate(REJECTED_URLS):
        for flow, name in URL_ARGUMENTS.items():
            assert error_code(await send_mail(client, ENTRY_POINTS[i % 2], flow, **{name: url})) == "INVALID_PAYLOAD", (
                flow
            )
    assert await queued_mails(members) == []


def test_cve_2024_28239_only_four_modules_redirect():
    """Two redirect to pages of Rollcall (test_account.py, studio/test_sign_in.py), one to the URL of a setting.

    The fourth, of single sign-on, redirects to the provider and to allowed URLs (single_sign_on/test_bad_responses.py).
    """
    redirecting = set()
    for module in (*(APP / "http").rglob("*.py"), *(APP / "studio").rglob("*.py")):
        for node in ast.walk(ast.parse(module.read_text())):
            value = node.value if isinstance(node, ast.Constant) else getattr(node, "id", "")
            if value in (b"location", b"Location", b"refresh", "RedirectResponse"):
                redirecting.add(module.name)

    assert redirecting == {"account.py", "server.py", "page_request.py", "single_sign_on.py"}


@pytest.mark.parametrize("path", [f"//{EVIL}", f"//{EVIL}/%2e%2e", f"/\\{EVIL}", "/users/", "/auth/login/"])
async def test_cve_2024_28239_no_path_redirects(mail_server, path):
    client, _ = mail_server
    for method in ("GET", "HEAD", "POST"):
        response = await client.request(method, f"http://rollcall{path}?redirect=http://{EVIL}&continue=//{EVIL}")
        assert "location" not in response.headers
        assert response.status_code // 100 != 3


async def test_cve_2024_28239_the_studio_leads_visitors_to_its_own_form_only(mail_server):
    client, _ = mail_server
    response = await client.get(f"http://rollcall/admin?redirect=http://{EVIL}&continue=//{EVIL}&next=//{EVIL}")

    assert (response.status_code, response.headers["location"]) == (303, "/admin/sign-in")


async def test_ssrf_no_submitted_url_is_fetched(mails, listener, monkeypatch):
    """CVE-2023-26492, CVE-2024-39699, CVE-2024-46990, CVE-2026-35409 and CVE-2026-61835."""
    client, mail = mails
    resolved, getaddrinfo = [], socket.getaddrinfo

    def record_lookup(host, *args, **kwargs):
        resolved.append(host)
        return getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", record_lookup)
    urls = [url.format(port=listener.port) for url in INTERNAL_URLS]
    for i, url in enumerate(urls):
        for flow, name in URL_ARGUMENTS.items():
            assert error_code(await send_mail(client, ENTRY_POINTS[i % 2], flow, **{name: url})) is None
    assert all(
        "/here?token=" in received.plain for received in await wait_for_mails(mail, len(urls) * len(URL_ARGUMENTS))
    )
    for value in (urls[0], "new@intra.example.net"):
        for name in ("avatar", "title", "description", "location", "theme_light"):
            await client.patch("/users/me", json={name: value}, headers=ADA)
        for name in ("project_url", "project_logo", "public_background", "custom_css"):
            await client.patch("/settings", json={name: value}, headers=ADA)
        await client.post("/users", json={"email": value, "avatar": value}, headers=ADA)
        await client.post("/users/invite", json={"email": value, "role": uid("role-Editor")}, headers=ADA)
        await client.post("/users/register", json={"email": value, "password": "a good one"})
        await client.post("/auth/login", json={"email": value, "password": "x"}, headers={"origin": urls[0]})

    assert listener.requests == []
    assert [name for name in resolved if name not in ("127.0.0.1", b"127.0.0.1")] == []
    _, writer = await asyncio.open_connection("127.0.0.1", listener.port)  # proves that the listener listens
    writer.write(b"x")
    async with asyncio.timeout(5):
        while not listener.requests:  # noqa: ASYNC110 - the listener has no event to wait for
            await asyncio.sleep(0.01)
    writer.close()
    listener.requests.clear()
