"""The documentation's instructions for operators, run as printed."""

import os
import shutil
import signal
import stat
import subprocess
from contextlib import contextmanager

import httpx
import pytest
from sqlalchemy import inspect

from app.core.config import load_settings
from app.db.database import Database
from app.mail.smtp import SmtpTransport
from app.mail.transport import create_transport
from tests.compat.replay import free_port, temporary_database, wait_until_ready
from tests.conftest import HAS_POSTGRESQL
from tests.readme.pages import create_checkout, page, run_shell, running_server, section, snippets

README_URL = "postgresql://rollcall@127.0.0.1/rollcall"
ADMIN = {"email": "you@example.com", "password": "only for as long as this takes"}
ADMIN_ENV = {
    "ADMIN_EMAIL": ADMIN["email"],
    "ADMIN_PASSWORD": ADMIN["password"],
    "ADMIN_TOKEN": "only for as long as this takes",
}
ADMIN_HEADERS = {"authorization": f"Bearer {ADMIN_ENV['ADMIN_TOKEN']}"}
REQUEST_TIMEOUT_SECONDS = 60
CLIENT_IP = "203.0.113.9"
needs_postgresql = pytest.mark.skipif(not HAS_POSTGRESQL, reason="PostgreSQL is unavailable")
needs_nginx = pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")


def settings_of(text):
    return dict(line.split("=", 1) for line in text.split())


def login(base_url, **headers):
    return httpx.post(
        f"{base_url}/auth/login", json={**ADMIN, "mode": "session"}, headers=headers, timeout=REQUEST_TIMEOUT_SECONDS
    )


@contextmanager
def nginx(folder, location_block, port):
    """Run nginx with the location block of the documentation in front of a server, and yield its URL."""
    text = location_block.replace("8055", str(port))
    proxy_port = free_port()
    temp_paths = "".join(
        f"{name}_temp_path {folder}/nginx;" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; events {{}}"
        f"http {{ access_log off; {temp_paths} server {{ listen 127.0.0.1:{proxy_port}; {text} }} }}"
    )
    server = subprocess.Popen(["nginx", "-p", str(folder), "-e", str(folder / "nginx.log"), "-c", str(config)])
    try:
        wait_until_ready(proxy_port)
        yield f"http://127.0.0.1:{proxy_port}"
    finally:
        server.terminate()
        server.wait(20)


@pytest.mark.slow
@needs_postgresql
def test_the_first_start_runs_two_workers(tmp_path):
    env, port = create_checkout(tmp_path), free_port()
    (text,) = snippets("sh", section("operations/deploy.md", "First start"))
    with temporary_database("postgresql", str(tmp_path)) as url:
        database_url = url.replace("postgresql://", "postgresql+asyncpg://")
        for replacement, original in (
            ("true", "make install"),
            (database_url, "postgresql+asyncpg://rollcall:...@127.0.0.1/rollcall"),
            (f"SECRET={'only for as long as this takes ' * 2}", "SECRET=..."),
            (f"serve --port {port} --workers 2 >log 2>&1 & echo $! > pid", "serve --workers 2"),
        ):
            assert text.count(original) == 1
            text = text.replace(original, replacement)
        output = run_shell(text, tmp_path, env)
        pid = int((tmp_path / "pid").read_text())
        try:
            wait_until_ready(port)
            health = httpx.get(f"http://127.0.0.1:{port}/server/health")
        finally:
            os.kill(pid, signal.SIGTERM)

    assert "you@example.com" in output
    assert "Password" in output
    assert health.status_code == 200
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


@pytest.mark.slow
@needs_nginx
def test_behind_a_proxy_the_client_ip_is_known_and_cookies_are_secure(tmp_path):
    text = section("operations/deploy.md", "Behind a proxy")
    (location,), (settings,) = snippets("nginx", text), snippets("ini", text)
    env, port = create_checkout(tmp_path) | ADMIN_ENV | settings_of(settings), free_port()
    with running_server(tmp_path, env, port), nginx(tmp_path, location, port) as proxy:
        response = login(proxy, **{"X-Forwarded-For": CLIENT_IP})
        cookie = response.headers["set-cookie"].partition(";")[0]
        (session,) = httpx.get(f"{proxy}/users/me/sessions", headers={"cookie": cookie}).json()["data"]

    assert session["ip"] == "127.0.0.1"
    assert "; Secure;" in response.headers["set-cookie"]


@pytest.mark.slow
@needs_postgresql
def test_postgresql_needs_only_another_url(tmp_path):
    env = create_checkout(tmp_path)
    (text,) = snippets("sh", section("quickstart.md", "Use PostgreSQL"))
    assert text.count("make run") == 1
    with temporary_database("postgresql", str(tmp_path)) as url:
        script = text.replace(
            "postgresql+asyncpg://user:password@localhost/rollcall", url.replace("://", "+asyncpg://")
        )
        output = run_shell(
            script.replace("make run", ".venv/bin/rollcall bootstrap; .venv/bin/rollcall quickstart"), tmp_path, env
        )

    assert "Created the first admin: admin@example.com" in output
    assert not (tmp_path / "data/rollcall.db").exists()


def test_the_mail_settings_are_valid(monkeypatch):
    (text,) = snippets("ini", section("operations/mail.md", "Transport"))
    for name, value in settings_of(text).items():
        monkeypatch.setenv(name, value)
    settings = load_settings()

    assert {name.upper() for name in settings.model_fields_set} >= set(settings_of(text))
    assert isinstance(create_transport(settings), SmtpTransport)


def test_the_settings_next_to_a_directus_are_valid(monkeypatch):
    (text,) = snippets("ini", section("directus/side-by-side.md", "Setup"))
    text = text.replace("SECRET=...", f"SECRET={'x' * 32}")
    for name, value in settings_of(text).items():
        monkeypatch.setenv(name, value)
    settings = load_settings()

    assert {name.upper() for name in settings.model_fields_set} >= set(settings_of(text))
    assert Database.open(settings).dialect == "postgresql"


async def test_the_setting_that_hides_the_tables_from_directus_names_all_of_them(readonly_db):
    (text,) = snippets("ini", section("directus/side-by-side.md", "Hiding Rollcall's tables"))
    async with readonly_db.database.transaction() as connection:
        tables = await connection.run_sync(lambda sync_connection: inspect(sync_connection).get_table_names())
    own = {table for table in tables if table.startswith("rollcall_")}
    named = set(settings_of(text)["DB_EXCLUDE_TABLES"].split(","))

    assert own <= named
    assert named - own <= {"spatial_ref_sys", "sysdiagrams", "rollcall_touched"}, "only PostgreSQL has the last one"


def read_emails(base_url):
    users = httpx.get(f"{base_url}/users?fields=email", headers=ADMIN_HEADERS, timeout=REQUEST_TIMEOUT_SECONDS)
    return {user["email"] for user in users.json()["data"]}


def emails_around_restore(tmp_path, back_up, restore, **settings):
    """Return the users' emails before a backup, after a user was added, and after the restore."""
    env, port = create_checkout(tmp_path) | ADMIN_ENV | settings, free_port()
    base_url = f"http://127.0.0.1:{port}"
    with running_server(tmp_path, env, port):
        before = read_emails(base_url)
        run_shell(back_up, tmp_path, env)
        httpx.post(f"{base_url}/users", json={"email": "late@example.com"}, headers=ADMIN_HEADERS).raise_for_status()
        after = read_emails(base_url)
    assert not list(tmp_path.glob("data/*-wal"))  # the write-ahead log is merged into the file when the server stops
    run_shell(restore, tmp_path, env)
    with running_server(tmp_path, env, port, bootstrap=False):
        restored = read_emails(base_url)
    return before, after, restored


@pytest.mark.slow
def test_sqlite_is_backed_up_while_serving_and_restored(tmp_path):
    back_up, restore = snippets("sh", section("operations/backup.md", "SQLite"))

    before, after, restored = emails_around_restore(tmp_path, back_up, restore)

    assert after - before == {"late@example.com"}
    assert restored == before
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("data/*.db")} == {0o600}


@pytest.mark.slow
@needs_postgresql
@pytest.mark.skipif(not shutil.which("pg_dump"), reason="pg_dump is not installed")
def test_postgresql_is_backed_up_while_serving_and_restored(tmp_path):
    (text,) = snippets("sh", section("operations/backup.md", "PostgreSQL"))
    assert text.count(README_URL) == 2
    with temporary_database("postgresql", str(tmp_path)) as url:
        *back_up, restore = text.replace(README_URL, url).splitlines()
        before, after, restored = emails_around_restore(tmp_path, "\n".join(back_up), restore, DATABASE_URL=url)

    assert after - before == {"late@example.com"}
    assert restored == before


@pytest.mark.slow
def test_an_upgrade_is_an_installation_and_an_idempotent_bootstrap(tmp_path):
    env = create_checkout(tmp_path)
    (text,) = snippets("sh", page("operations/upgrade.md"))
    upgrade = text.replace("make install", "true")

    assert "Created the first admin" in run_shell(upgrade, tmp_path, env)
    assert run_shell(upgrade, tmp_path, env) == ""
