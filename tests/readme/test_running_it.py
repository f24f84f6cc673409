import os
import shutil
import signal
import stat
import subprocess
from contextlib import contextmanager

import httpx
import pytest

from app.core.config import load_settings
from app.db.database import Database
from app.mail.transport import SmtpTransport, create_transport
from tests.compat.replay import temporary_database, free_port, wait_until_ready
from tests.conftest import HAS_POSTGRESQL
from tests.readme.readme_sections import checkout, page, paste, running, snippets

THEIRS = "postgresql://rollcall@127.0.0.1/rollcall"
ADMIN = {"email": "you@example.com", "password": "only for as long as this takes"}
NAMED = {"ADMIN_EMAIL": ADMIN["email"], "ADMIN_PASSWORD": ADMIN["password"]}
PATIENCE = 60
ELSEWHERE = "203.0.113.9"
needs_postgresql = pytest.mark.skipif(not HAS_POSTGRESQL, reason="no PostgreSQL answers")
needs_nginx = pytest.mark.skipif(not shutil.which("nginx"), reason="there is no nginx here: the proxy is LEFT OUT")


def settings_of(text):
    return dict(line.split("=", 1) for line in text.split())


def signed_in(address, **headers):
    return httpx.post(f"{address}/auth/login", json={**ADMIN, "mode": "session"}, headers=headers, timeout=PATIENCE)


@contextmanager
def nginx(folder, location, port):
    """A server of nginx' that does what a location says."""
    text = location.replace("8055", str(port))
    own = free_port()
    places = "".join(
        f"{name}_temp_path {folder}/nginx;" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; events {{}}"
        f"http {{ access_log off; {places} server {{ listen 127.0.0.1:{own}; {text} }} }}"
    )
    server = subprocess.Popen(["nginx", "-p", str(folder), "-e", str(folder / "nginx.log"), "-c", str(config)])
    try:
        wait_until_ready(own)
        yield f"http://127.0.0.1:{own}"
    finally:
        server.terminate()
        server.wait(20)


@needs_postgresql
def test_a_first_start_leads_to_two_workers_that_serve(tmp_path):
    env, port = checkout(tmp_path), free_port()
    (text,) = snippets("sh", page("### First start", "\n### "))
    with temporary_database("postgresql", str(tmp_path)) as url:
        address = url.replace("postgresql://", "postgresql+asyncpg://")
        for ours, theirs in (
            ("true", "make install"),
            (address, "postgresql+asyncpg://rollcall:...@127.0.0.1/rollcall"),
            (f"SECRET={'only for as long as this takes ' * 2}", "SECRET=..."),
            (f"serve --port {port} --workers 2 >log 2>&1 & echo $! > pid", "serve --workers 2"),
        ):
            assert text.count(theirs) == 1
            text = text.replace(theirs, ours)
        told = paste(text, tmp_path, env)
        pid = int((tmp_path / "pid").read_text())
        try:
            wait_until_ready(port)
            health = httpx.get(f"http://127.0.0.1:{port}/server/health")
        finally:
            os.kill(pid, signal.SIGTERM)

    assert "you@example.com" in told
    assert "password" in told
    assert health.json() == {"status": "ok"}
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


@needs_nginx
def test_behind_a_proxy_the_clients_address_is_known_and_cookies_keep_to_https(tmp_path):
    text = page("### Behind a proxy", "\n### ")
    (location,), (settings,) = snippets("nginx", text), snippets("ini", text)
    env, port = checkout(tmp_path) | NAMED | settings_of(settings), free_port()
    with running(tmp_path, env, port), nginx(tmp_path, location, port) as proxy:
        answer = signed_in(proxy, **{"X-Forwarded-For": ELSEWHERE})
        cookie = answer.headers["set-cookie"].partition(";")[0]
        (session,) = httpx.get(f"{proxy}/users/me/sessions", headers={"cookie": cookie}).json()["data"]

    assert session["ip"] == "127.0.0.1"
    assert "; Secure;" in answer.headers["set-cookie"]


@needs_postgresql
def test_on_postgresql_it_is_the_same_command(tmp_path):
    env = checkout(tmp_path)
    (text,) = snippets("sh", page("### On PostgreSQL", "\n### "))
    assert text.count("make run") == 1
    with temporary_database("postgresql", str(tmp_path)) as url:
        there = text.replace("postgresql+asyncpg://user:password@localhost/rollcall", url.replace("://", "+asyncpg://"))
        told = paste(there.replace("make run", ".venv/bin/rollcall bootstrap; .venv/bin/rollcall hello"), tmp_path, env)

    assert "Made the first admin: admin@example.com" in told
    assert not (tmp_path / "data/rollcall.db").exists()


def test_the_settings_of_mail_are_ones_that_can_be_used(monkeypatch):
    (text,) = snippets("ini", page("### Mail", "\n### "))
    for name, value in settings_of(text).items():
        monkeypatch.setenv(name, value)
    settings = load_settings()

    assert {name.upper() for name in settings.model_fields_set} >= set(settings_of(text))
    assert isinstance(create_transport(settings), SmtpTransport)


def test_the_settings_beside_a_directus_are_ones_that_can_be_used(monkeypatch):
    (text,) = snippets("ini", page("### Beside a Directus 11", "\n### "))
    for name, value in settings_of(text).items():
        monkeypatch.setenv(name, value)
    settings = load_settings()

    assert {name.upper() for name in settings.model_fields_set} >= set(settings_of(text))
    assert Database.open(settings).dialect == "postgresql"


def people(address):
    """Who is there, as the admin sees it."""
    token = httpx.post(f"{address}/auth/login", json=ADMIN, timeout=PATIENCE).json()["data"]["access_token"]
    found = httpx.get(f"{address}/users?fields=email", headers={"authorization": f"Bearer {token}"})
    return {user["email"] for user in found.json()["data"]}, {"authorization": f"Bearer {token}"}


def kept(tmp_path, back_up, restore, **settings):
    """Who is there before a backup, after another came, and after it is restored."""
    env, port = checkout(tmp_path) | NAMED | settings, free_port()
    address = f"http://127.0.0.1:{port}"
    with running(tmp_path, env, port):
        before, admin = people(address)
        paste(back_up, tmp_path, env)
        httpx.post(f"{address}/users", json={"email": "late@example.com"}, headers=admin).raise_for_status()
        after, _ = people(address)
    assert not list(tmp_path.glob("data/*-wal"))  # all of it is in the file once nobody serves
    paste(restore, tmp_path, env)
    with running(tmp_path, env, port):
        restored, _ = people(address)
    return before, after, restored


def test_sqlite_is_backed_up_while_it_serves_and_restored(tmp_path):
    back_up, restore, _ = snippets("sh", page("### Backup and restore", "\n### "))

    before, after, restored = kept(tmp_path, back_up, restore)

    assert after - before == {"late@example.com"}
    assert restored == before
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("data/*.db")} == {0o600}


@needs_postgresql
@pytest.mark.skipif(not shutil.which("pg_dump"), reason="there is no pg_dump here")
def test_postgresql_is_backed_up_while_it_serves_and_restored(tmp_path):
    *_, text = snippets("sh", page("### Backup and restore", "\n### "))
    assert text.count(THEIRS) == 2
    with temporary_database("postgresql", str(tmp_path)) as url:
        *back_up, restore = text.replace(THEIRS, url).splitlines()
        before, after, restored = kept(tmp_path, "\n".join(back_up), restore, DATABASE_URL=url)

    assert after - before == {"late@example.com"}
    assert restored == before


def test_an_upgrade_is_an_installation_and_a_bootstrap_that_changes_nothing_else(tmp_path):
    env = checkout(tmp_path)
    (text,) = snippets("sh", page("### Upgrades", "\n### "))
    upgrade = text.replace("make install", "true")

    assert "Made the first admin" in paste(upgrade, tmp_path, env)
    assert paste(upgrade, tmp_path, env) == ""
