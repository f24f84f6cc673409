"""The outbox worker sends each mail once and with a valid link, also after failures."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from sqlalchemy import delete, insert, text, update

from app.core.clock import utc_now
from app.core.config import ConfigurationError
from app.core.email_links import LinkPurpose, verify_link_token
from app.core.errors import ServiceUnavailable
from app.db.models import OUTBOX, File
from app.db.models import Settings as ProjectSettings
from app.flows import outbox_worker
from app.flows.outbox_worker import LEASE, MAX_BUILD_ATTEMPTS, MAX_DELIVERY_ATTEMPTS, MAX_RETRY_WAIT, OutboxWorker
from app.flows.service_metrics import OutboxMetrics
from app.repositories.stores.outbox import OutboxQueue
from app.testing import open_system
from tests.base_data import uid
from tests.mail.server import (
    MailServer,
    captured_job_logs,
    enqueue,
    execute,
    outbox_rows,
    run_worker,
    wait_until_sent,
    with_clock_ahead,
    with_smtp,
)

LINKS = {
    "invite": ("You've been invited", "/admin/accept-invite", LinkPurpose.INVITATION, 7),
    "reset": ("Password Reset Request", "/admin/reset-password", LinkPurpose.RESET, 1),
    "verify": ("Verify your email address", "/users/register/verify-email", LinkPurpose.REGISTRATION, 7),
}
OLDEST_MAIL = "rollcall_outbox_oldest_seconds"


def link_in(mail):
    return next(word for word in mail.plain.split() if word.startswith("http"))


def token_in(mail):
    return parse_qs(urlsplit(link_in(mail)).query)["token"][0]


def secret_of(services):
    return services.settings.secret.get_secret_value()


async def set_project_name(services, name):
    await execute(services, delete(ProjectSettings), insert(ProjectSettings).values(id=1, project_name=name))


async def test_a_mail_shows_the_color_and_the_logo_of_the_project(writable_db, server):
    services = with_smtp(writable_db.services, server)
    services = replace(services, settings=services.settings.model_copy(update={"public_url": "https://example.com"}))
    for number, (media, is_shown) in enumerate([("image/png", True), ("image/svg+xml", False)]):
        key = str(uuid4())
        file = {"id": key, "storage": "local", "filename_download": "logo", "type": media}
        logo = {"id": 1, "project_name": "Roster", "project_color": "#FFEE00", "project_logo_id": key}
        settings = delete(ProjectSettings), insert(File).values(**file), insert(ProjectSettings).values(**logo)
        await execute(services, *settings)
        await enqueue(services, "invite", f"user{number}@example.com", password="1f")
        await run_worker(services)
        html = server.mails[-1].html
        assert ("background: #ffee00; color: #000000" in html, "Roster" in html) == (True, True)
        assert (f'src="https://example.com/admin/logo/{key}"' in html) is is_shown


@pytest.mark.parametrize("kind", LINKS)
async def test_a_mail_arrives_as_text_and_html_with_a_valid_link(writable_db, server, kind):
    services = with_smtp(writable_db.services, server)
    await enqueue(services, kind, "Ida@example.com", password="1f")
    assert await run_worker(services) == 1
    [mail] = server.mails
    subject, path, purpose, _ = LINKS[kind]
    link = verify_link_token(token_in(mail), secret_of(services), purpose)

    assert mail.to == ["Ida@example.com"]
    assert mail.sender == "no-reply@example.com"
    assert mail.message["From"] == "Rollcall <no-reply@example.com>"
    assert (mail.message["To"], mail.message["Subject"]) == ("Ida@example.com", subject)
    assert link_in(mail).startswith(f"https://users.example.com{path}?token=")
    assert link_in(mail) in mail.html
    assert (link.email, link.user, link.password_fingerprint) == ("Ida@example.com", uid("ida"), "1f")


@pytest.mark.parametrize("kind", LINKS)
async def test_a_link_is_valid_as_long_as_its_mail_says(writable_db, server, kind):
    services = with_smtp(writable_db.services, server)
    created = utc_now().replace(microsecond=0)
    await enqueue(services, kind)
    await run_worker(services)
    [mail] = server.mails
    days = timedelta(days=LINKS[kind][3])

    assert any(f"{created + days + timedelta(seconds=s):%Y-%m-%d %H:%M} UTC" in mail.plain for s in (0, 5))
    assert "UTC" in mail.html


async def test_a_link_points_to_the_url_of_its_mail(writable_db, server):
    services = with_smtp(writable_db.services, server)
    await enqueue(services, url="https://app.example.com/join?a=b&token=stale#part")
    await run_worker(services)
    [mail] = server.mails

    assert link_in(mail).startswith("https://app.example.com/join?a=b&token=ey")
    assert f'href="{link_in(mail).replace("&", "&amp;")}"' in mail.html


@pytest.mark.parametrize("url", [None, ""])
async def test_without_public_url_links_point_to_host_and_port(writable_db, server, url):
    services = with_smtp(writable_db.services, server, public_url=None, host="192.0.2.9", port=8055)
    await enqueue(services, url=url)
    await run_worker(services)

    assert link_in(server.mails[0]).startswith("http://192.0.2.9:8055/admin/accept-invite?token=")


async def test_a_project_name_cannot_inject_headers_or_html(writable_db, server):
    services = with_smtp(writable_db.services, server)
    await set_project_name(services, '<b onclick="x">Evil & "Co"</b>\r\nBcc: eve@example.com\u2028{{ url }}')
    await enqueue(services)
    await run_worker(services)
    [mail] = server.mails
    name = '<b onclick="x">Evil & "Co"</b> Bcc: eve@example.com {{ url }}'

    assert mail.to == ["ida@example.com"]
    assert mail.message["Bcc"] is None
    assert mail.message["From"].addresses[0].display_name == name
    assert mail.message["From"].addresses[0].addr_spec == "no-reply@example.com"
    assert name in mail.plain
    assert "<b " not in mail.html
    assert "&lt;b onclick=&#34;x&#34;&gt;Evil &amp; &#34;Co&#34;&lt;/b&gt; Bcc" in mail.html


async def test_a_non_ascii_project_name_arrives_unchanged(writable_db, server):
    services = with_smtp(writable_db.services, server)
    await set_project_name(services, "Größe „Ü“ 目录 — " + "long " * 12)
    await enqueue(services)
    await run_worker(services)

    assert server.mails[0].message["From"].addresses[0].display_name.startswith("Größe „Ü“ 目录 — long long")
    assert "Größe „Ü“ 目录" in server.mails[0].plain


async def test_a_row_is_deleted_once_its_mail_is_sent(writable_db, server):
    services = with_smtp(writable_db.services, server)
    await enqueue(services)
    await run_worker(services)

    assert await outbox_rows(services) == []
    assert await run_worker(services) == 0
    assert len(server.mails) == 1


async def test_the_database_never_holds_a_valid_link(writable_db, server):
    services, snapshots = with_smtp(writable_db.services, server), []

    async def take_snapshot():
        snapshots.append(str(await outbox_rows(services)))

    server.on_data = take_snapshot
    await enqueue(services, "reset", password="1f")
    await take_snapshot()
    await run_worker(services)
    await take_snapshot()

    assert len(snapshots) == 3
    assert not any("eyJ" in rows or token_in(server.mails[0]) in rows for rows in snapshots)


async def test_a_mail_waits_for_an_unavailable_mail_server(writable_db):
    server = MailServer()
    services = with_smtp(writable_db.services, server)
    await enqueue(services)
    assert await run_worker(services) == 0
    [row] = await outbox_rows(services)
    async with server.up():
        assert await run_worker(services) == 0
        assert await run_worker(with_clock_ahead(services, timedelta(seconds=3))) == 1

    assert (row.attempts, row.recipient, row.sent) == (1, "ida@example.com", None)
    assert len(server.mails) == 1


async def test_retries_of_a_mail_back_off_until_it_is_given_up(writable_db):
    services = with_smtp(writable_db.services, MailServer())
    await enqueue(services, "reset", "ida@example.com", password="1f")
    elapsed, waits = timedelta(0), []
    with captured_job_logs() as events:
        for _ in range(12):
            await run_worker(with_clock_ahead(services, elapsed))
            [row] = await outbox_rows(services)
            waits.append(round((row.due - utc_now() - elapsed).total_seconds()))
            elapsed += timedelta(seconds=waits[-1] + 2)
        await execute(services, update(OUTBOX).values(attempts=MAX_DELIVERY_ATTEMPTS - 1))
        await run_worker(with_clock_ahead(services, elapsed))
    max_wait = MAX_RETRY_WAIT.total_seconds()

    assert waits == pytest.approx([2, 4, 8, 16, 32, 64, 128, 256, 512, max_wait, max_wait, max_wait], abs=1)
    assert await outbox_rows(services) == []
    assert [event["event"] for event in events] == ["mail_retry_scheduled"] * 12 + ["mail_failed"]
    assert not any(word in str(events) for word in ("ida@", "eyJ", uid("ida")))


@pytest.mark.parametrize("to", ["gone@example.com", "not an address", "two@example.com, three@example.com", "a@b\r\nc"])
async def test_a_permanently_rejected_recipient_is_given_up_at_once(writable_db, server, to):
    server.rejections["gone@example.com"] = "550 5.1.1 gone@example.com is unknown here"
    services = with_smtp(writable_db.services, server)
    await enqueue(services, to=to)
    await enqueue(services)
    with captured_job_logs() as events:
        assert await run_worker(services) == 1

    assert [mail.to for mail in server.mails] == [["ida@example.com"]]
    assert await outbox_rows(services) == []
    assert [event["event"] for event in events] == ["mail_failed"]
    assert to not in str(events)
    assert "gone@" not in str(events)


async def test_a_temporarily_rejected_recipient_is_retried(writable_db, server):
    server.rejections["ida@example.com"] = "451 4.7.1 greylisted, come back"
    services = with_smtp(writable_db.services, server)
    await enqueue(services)
    assert await run_worker(services) == 0
    server.rejections.clear()

    assert await run_worker(with_clock_ahead(services, timedelta(seconds=3))) == 1


async def test_a_mail_of_an_unknown_kind_waits_for_a_version_that_knows_it_and_blocks_no_other(writable_db, server):
    services = with_smtp(writable_db.services, server)
    await enqueue(services, "of tomorrow")
    await enqueue(services)
    await execute(services, update(OUTBOX).values(attempts=MAX_BUILD_ATTEMPTS))
    with captured_job_logs() as events:
        assert await run_worker(services) == 1

    assert [row.kind for row in await outbox_rows(services)] == ["of tomorrow"]
    assert [event["event"] for event in events] == ["mail_retry_scheduled"]


async def test_a_mail_waits_for_a_database_that_fails_while_it_is_built(writable_db, server, monkeypatch):
    async def unavailable(*_):
        raise ServiceUnavailable

    services = with_smtp(writable_db.services, server)
    await enqueue(services)
    await execute(services, update(OUTBOX).values(attempts=MAX_BUILD_ATTEMPTS))
    with monkeypatch.context() as patch, captured_job_logs() as events:
        patch.setattr(outbox_worker, "read_mail_brand", unavailable)
        assert await run_worker(services) == 0

    assert [event["event"] for event in events] == ["mail_retry_scheduled"]
    assert await run_worker(with_clock_ahead(services, timedelta(minutes=2))) == 1


@pytest.mark.parametrize("bug", ["template", "link"])
async def test_a_mail_that_cannot_be_built_is_logged_with_its_traceback_and_soon_given_up(
    writable_db, server, tmp_path, bug
):
    """The messages of both errors quote what must not be logged: the link with its token, and the queued URL."""
    failing = "{% if project != 'Rollcall' %}{{ {}[url] }}{% endif %}"  # works in the check at startup
    (tmp_path / "reset.txt").write_text(f"Subject: Hello\n{failing if bug == 'template' else '{{ url }}'}")
    services = with_smtp(writable_db.services, server, email_templates_path=tmp_path)
    await set_project_name(services, "Anything else")
    url = "https://ida@example.com\u2100/" if bug == "link" else None
    await enqueue(services, "reset", password="fingerprint", url=url)
    with captured_job_logs() as events:
        for attempt in range(MAX_BUILD_ATTEMPTS + 2):
            assert await run_worker(with_clock_ahead(services, timedelta(minutes=attempt))) == 0
    failures = [event for event in events if event["event"] == "mail_build_failed"]
    function, error = {"template": ("render", "UndefinedError"), "link": ("add_token", "ValueError")}[bug]

    assert await outbox_rows(services) == []
    assert [event["attempts"] for event in failures] == list(range(1, MAX_BUILD_ATTEMPTS + 1))
    for event in failures:
        assert (event["log_level"], event["kind"]) == ("error", "reset")
        assert f"in {function}\n" in event["exception"]
        assert event["exception"].endswith(error)
    assert [event["event"] for event in events if event not in failures] == [
        *["mail_retry_scheduled"] * (MAX_BUILD_ATTEMPTS - 1),
        "mail_failed",
    ]
    assert not any(word in str(events) for word in ("ida@", "eyJ", "fingerprint", uid("ida")))


async def test_a_mail_that_cannot_be_built_blocks_no_other(writable_db, server):
    services = with_smtp(writable_db.services, server)
    await enqueue(services, url="https://[not an IP address]")
    await enqueue(services, to="vi@example.com")

    assert await run_worker(services) == 1
    assert [mail.to for mail in server.mails] == [["vi@example.com"]]


async def test_two_workers_send_each_mail_once(writable_db, server):
    async with open_system(writable_db.settings) as other:
        workers = [OutboxWorker(with_smtp(system.services, server)) for system in (writable_db, other)]
        for number in range(30):
            await enqueue(writable_db.services, to=f"guest{number}@example.com")
        sent = await asyncio.gather(*(worker.run_once() for worker in workers))

    assert sum(sent) == 30
    assert sorted(mail.to[0] for mail in server.mails) == sorted(f"guest{n}@example.com" for n in range(30))
    assert await outbox_rows(writable_db.services) == []


async def test_a_mail_whose_process_died_is_sent_after_its_lease(writable_db, server):
    services = with_smtp(writable_db.services, server)
    await enqueue(services)
    claimed = await OutboxQueue(services).claim(LEASE)
    assert claimed is not None
    assert claimed.attempts == 1
    assert await run_worker(services) == 0
    assert await run_worker(with_clock_ahead(services, LEASE - timedelta(seconds=5))) == 0
    assert await run_worker(with_clock_ahead(services, LEASE + timedelta(seconds=1))) == 1


async def test_a_sent_mail_is_not_sent_again_if_recording_it_failed(writable_db, server):
    services = with_smtp(writable_db.services, server)
    worker = OutboxWorker(services)

    async def rename_outbox(before, after):
        await execute(services, text(f"ALTER TABLE {before} RENAME TO {after}"))

    server.on_data = lambda: rename_outbox("rollcall_outbox", "elsewhere")
    await enqueue(services)
    with pytest.raises(Exception, match="rollcall_outbox"):
        await worker.run_once()
    await rename_outbox("elsewhere", "rollcall_outbox")
    await worker.run_once()

    assert len(server.mails) == 1
    assert await outbox_rows(services) == []


async def test_a_sent_mail_is_not_sent_again_if_its_lease_expired_before_it_was_recorded(writable_db, server):
    services = with_smtp(writable_db.services, server)
    worker = OutboxWorker(services)
    await enqueue(services)
    worker._sent_unrecorded.add(1)

    assert await worker._send_due() == 0
    assert server.mails == []
    assert await outbox_rows(services) == []


async def test_a_mail_sent_twice_has_one_message_id(writable_db, server):
    services = with_smtp(writable_db.services, server)
    await enqueue(services)
    await enqueue(services)
    [row, _] = await outbox_rows(services)
    await run_worker(services)
    await execute(services, insert(OUTBOX).values(vars(row)))
    await run_worker(services)
    first, second, repeated = (mail.message["Message-ID"] for mail in server.mails)

    assert first != second
    assert repeated in {first, second}


async def test_a_running_worker_sends_a_mail_at_once(writable_db, server, monkeypatch):
    monkeypatch.setattr(OutboxWorker, "interval_seconds", 30.0)
    services = with_smtp(writable_db.services, server)
    async with OutboxWorker(services).running(), asyncio.timeout(5):
        await asyncio.sleep(0.1)
        await enqueue(services)
        await wait_until_sent(services)

    assert len(server.mails) == 1


async def test_a_running_worker_soon_finds_a_mail_of_another_process(writable_db, server, monkeypatch):
    monkeypatch.setattr(OutboxWorker, "interval_seconds", 0.1)
    services = with_smtp(writable_db.services, server)
    async with open_system(writable_db.settings) as other, OutboxWorker(services).running(), asyncio.timeout(5):
        await enqueue(other.services)
        await wait_until_sent(services)

    assert len(server.mails) == 1


async def test_a_mail_being_sent_is_still_recorded_at_shutdown(writable_db, server, monkeypatch):
    monkeypatch.setattr(OutboxWorker, "interval_seconds", 0.01)
    services, started = with_smtp(writable_db.services, server), asyncio.Event()

    async def delay():
        started.set()
        await asyncio.sleep(0.3)

    server.on_data = delay
    await enqueue(services)
    async with OutboxWorker(services).running():
        await asyncio.wait_for(started.wait(), 5)

    assert await outbox_rows(services) == []


async def test_by_default_a_mail_is_a_line_in_the_log(writable_db):
    await enqueue(writable_db.services)
    with captured_job_logs() as events:
        assert await run_worker(writable_db.services) == 1
    [event] = events

    assert (event["event"], event["log_level"]) == ("mail", "info")
    assert (event["to"], event["subject"]) == ("ida@example.com", "You've been invited")
    assert "http://127.0.0.1:8055/admin/accept-invite?token=ey" in event["text"]


async def test_email_from_must_be_an_email_address(readonly_db):
    with pytest.raises(ConfigurationError, match="EMAIL_FROM"):
        OutboxWorker(with_smtp(readonly_db.services, MailServer(), email_from="Rollcall"))


async def oldest_mail_seconds(services):
    await OutboxMetrics(services).run_once()
    families = services.metrics.snapshot().families
    return next(family.values[()][0] for family in families if family.description.name == OLDEST_MAIL)


async def test_the_metrics_show_the_age_of_the_oldest_mail_also_after_failed_attempts(writable_db, server):
    services = with_smtp(writable_db.services, server)
    later = with_clock_ahead(services, timedelta(hours=2))
    empty = await oldest_mail_seconds(services)
    await enqueue(services)
    await enqueue(later)
    await execute(services, update(OUTBOX).values(due=services.clock() + timedelta(days=1), attempts=5))
    age = await oldest_mail_seconds(later)
    await execute(services, update(OUTBOX).values(queued=None, due=services.clock()))  # as a former version queued them

    assert empty == 0
    assert age == pytest.approx(7200, abs=300)
    assert await oldest_mail_seconds(later) == pytest.approx(7200, abs=300)
