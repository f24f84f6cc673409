"""Settings as they are given, refused and kept to themselves."""

import stat
import threading
from datetime import timedelta

import pytest

from app.core.config import ConfigurationError, Settings, load_settings, signing_secret
from app.core.hashing import HashCost

GIVEN = {  # name, how it is spelled, what it means
    "ACCESS_TOKEN_TTL": ("7d", timedelta(days=7)),
    "MAX_PAYLOAD_SIZE": ("500kb", 512_000),
    "QUERY_LIMIT_MAX": ("-1", None),
    "IP_TRUST_PROXY": ("2", 2),
    "GRAPHQL_INTROSPECTION": ("false", False),
    "LOG_STYLE": ("pretty", "pretty"),
    "FILES_MAX_UPLOAD_SIZE": ("10mb", 10 * 1024**2),
    "FILES_MIME_TYPE_ALLOW_LIST": ("image/*, text/plain", ("image/*", "text/plain")),
    "ASSETS_CACHE_TTL": ("30d", timedelta(days=30)),
    "ADMIN_EMAIL": ("ada@example.com", "ada@example.com"),
}
BAD = {
    "PORT": "many",
    "ACCESS_TOKEN_TTL": "soon",
    "MAX_PAYLOAD_SIZE": "lots",
    "QUERY_LIMIT_MAX": "0",
    "QUERY_LIMIT_DEFAULT": "x",
    "IP_TRUST_PROXY": "maybe",
    "LOG_LEVEL": "loud",
    "GRAPHQL_INTROSPECTION": "perhaps",
    "DB_POOL_SIZE": "0",
    "DB_STATEMENT_TIMEOUT": "-1",
    "STORAGE_LOCAL_DRIVER": "gcs",
    "STORAGE_LOCATIONS": ",",
}
SECRETS = ("SECRET", "ADMIN_PASSWORD", "ADMIN_TOKEN", "STORAGE_LOCAL_KEY", "STORAGE_LOCAL_SECRET")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", GIVEN)
def test_a_setting_is_read_from_the_environment_under_its_name(name, monkeypatch):
    spelled, meant = GIVEN[name]
    monkeypatch.setenv(name, spelled)

    assert getattr(load_settings(), name.lower()) == meant


def test_a_setting_is_read_from_a_file_and_the_environment_comes_first(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("PORT=9000\nHOST=0.0.0.0\nSOMEBODY_ELSES=1\n")
    monkeypatch.setenv("PORT", "9001")

    assert (load_settings().port, load_settings().host) == (9001, "0.0.0.0")


@pytest.mark.parametrize("locations", ["amazon", "Amazon, local"])
def test_a_storage_of_another_name_has_settings_of_that_name(tmp_path, monkeypatch, locations):
    (tmp_path / ".env").write_text("STORAGE_AMAZON_DRIVER=s3\nSTORAGE_AMAZON_BUCKET=a\nSTORAGE_LOCAL_ROOT=./other\n")
    monkeypatch.setenv("STORAGE_LOCATIONS", locations)
    monkeypatch.setenv("STORAGE_AMAZON_BUCKET", "b")
    settings = load_settings()

    assert settings.storage_location.lower() == "amazon"
    assert (settings.storage_local_driver, settings.storage_local_bucket) == ("s3", "b")
    assert settings.storage_local_root.name == "uploads"


def test_an_empty_setting_is_no_setting(monkeypatch):
    for name in ("SECRET", "SESSION_COOKIE_NAME", "DATABASE_URL"):
        monkeypatch.setenv(name, "")

    assert load_settings() == Settings(_env_file=None)
    assert load_settings().secret is None


@pytest.mark.parametrize("name", BAD)
def test_a_bad_setting_is_refused_by_name_in_one_line(name, monkeypatch):
    monkeypatch.setenv(name, BAD[name])

    with pytest.raises(ConfigurationError) as refusal:
        load_settings()

    assert str(refusal.value).startswith(f"{name}: ")
    assert "\n" not in str(refusal.value)


def test_every_bad_setting_is_named_at_once(monkeypatch):
    monkeypatch.setenv("PORT", "many")
    monkeypatch.setenv("LOG_LEVEL", "loud")

    with pytest.raises(ConfigurationError, match=r"PORT: .*; LOG_LEVEL: "):
        load_settings()


def test_no_secret_is_shown(monkeypatch):
    for name in SECRETS:
        monkeypatch.setenv(name, "s3cr3t")
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:s3cr3t@127.0.0.1/rollcall")
    shown = repr(load_settings()) + str(load_settings())
    monkeypatch.setenv("PORT", "many")
    with pytest.raises(ConfigurationError) as refusal:
        load_settings()

    assert "s3cr3t" not in shown + str(refusal.value)


def test_every_setting_says_what_it_is_for():
    silent = [name for name, field in Settings.model_fields.items() if not field.description]

    assert silent == []


def kept_in(folder, **changed):
    return Settings(_env_file=None, database_url=f"sqlite+aiosqlite:///{folder}/rollcall.db", **changed)


def test_the_given_secret_signs(tmp_path):
    assert signing_secret(kept_in(tmp_path, secret="given")) == "given"
    assert list(tmp_path.iterdir()) == []


def test_without_one_sqlite_keeps_a_secret_that_only_its_owner_reads(tmp_path):
    made = signing_secret(kept_in(tmp_path / "data"))

    assert made == signing_secret(kept_in(tmp_path / "data")) == (tmp_path / "data" / "secret").read_text()
    assert len(made) >= 32
    assert stat.S_IMODE((tmp_path / "data" / "secret").stat().st_mode) == 0o600
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["secret"]


def test_many_who_start_at_once_keep_one_secret(tmp_path):
    found, start = [], threading.Barrier(8)

    def open_one():
        start.wait()
        found.append(signing_secret(kept_in(tmp_path)))

    threads = [threading.Thread(target=open_one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_file_without_a_secret_in_it_is_not_signed_with(tmp_path):
    (tmp_path / "secret").write_text("\n")

    with pytest.raises(ConfigurationError, match="holds no secret: remove it"):
        signing_secret(kept_in(tmp_path))


def test_a_secret_that_cant_be_kept_is_said_so(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match=r"SECRET is not set, and .* can't be kept instead"):
        signing_secret(kept_in(tmp_path / "file"))


def test_on_postgresql_the_secret_is_kept_too_where_the_process_runs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    settings = Settings(_env_file=None, database_url="postgresql://x/y")
    made = signing_secret(settings)

    assert made == signing_secret(settings) == (tmp_path / "data/secret").read_text()
    assert (tmp_path / "data/secret").stat().st_mode & 0o077 == 0


def test_passwords_cost_what_they_cost_with_directus_unless_that_is_set(monkeypatch):
    assert Settings(_env_file=None).hash_cost == HashCost(memory=65536, time=3, parallelism=4)
    monkeypatch.setenv("HASH_TIME_COST", "5")
    assert Settings(_env_file=None).hash_cost == HashCost(memory=65536, time=5, parallelism=4)
    monkeypatch.setenv("HASH_MEMORY_COST", "16")
    with pytest.raises(ConfigurationError, match=r"^HASH_MEMORY_COST: 4 threads need 32 KiB at least$"):
        load_settings()
