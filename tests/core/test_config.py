"""Settings: reading them, rejecting invalid ones, and hiding secrets."""

import stat
import threading
from datetime import timedelta

import pytest

from app.core.config import ConfigurationError, Settings, load_settings, setting_warnings, signing_secret
from app.core.env_file import EnvFileError
from app.core.hash_parameters import HashCost

VALUES = {  # name: text in the environment, value
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
    "DIRECTUS_URL": ("False", ()),
}
INVALID = {
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
    "DIRECTUS_URL": "http://directus:8055, ftp://directus",
}
SECRETS = ("SECRET", "ADMIN_PASSWORD", "ADMIN_TOKEN", "DIRECTUS_TOKEN", "STORAGE_LOCAL_KEY", "STORAGE_LOCAL_SECRET")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", VALUES)
def test_a_setting_is_read_from_the_environment(name, monkeypatch):
    text, value = VALUES[name]
    monkeypatch.setenv(name, text)

    assert getattr(load_settings(), name.lower()) == value


def test_the_environment_overrides_the_env_file(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("PORT=9000\nHOST=0.0.0.0\nUNRELATED=1\n")
    monkeypatch.setenv("PORT", "9001")

    assert (load_settings().port, load_settings().host) == (9001, "0.0.0.0")


@pytest.mark.parametrize("locations", ["amazon", "Amazon, local"])
def test_a_storage_location_has_settings_named_after_it(tmp_path, monkeypatch, locations):
    (tmp_path / ".env").write_text("STORAGE_AMAZON_DRIVER=s3\nSTORAGE_AMAZON_BUCKET=a\nSTORAGE_LOCAL_ROOT=./other\n")
    monkeypatch.setenv("STORAGE_LOCATIONS", locations)
    monkeypatch.setenv("STORAGE_AMAZON_BUCKET", "b")
    settings = load_settings()

    assert settings.storage_location.lower() == "amazon"
    assert (settings.storage_local_driver, settings.storage_local_bucket) == ("s3", "b")
    assert settings.storage_local_root.name == "uploads"


def test_an_empty_variable_counts_as_unset(monkeypatch):
    for name in ("SECRET", "SESSION_COOKIE_NAME", "DATABASE_URL"):
        monkeypatch.setenv(name, "")

    assert load_settings() == Settings(_env_file=None)
    assert load_settings().secret is None


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_setting_is_named_in_a_one_line_error(name, monkeypatch):
    monkeypatch.setenv(name, INVALID[name])

    with pytest.raises(ConfigurationError) as error:
        load_settings()

    assert str(error.value).startswith(f"{name}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:pass@directus",
        "http://directus/?a=b",
        "directus:8055",
        "http://directus#a",
        "http://d/" + "x" * 255,
    ],
)
def test_a_directus_url_is_a_base_without_credentials(url, monkeypatch):
    monkeypatch.setenv("DIRECTUS_TOKEN", "token")
    monkeypatch.setenv("DIRECTUS_URL", url)

    with pytest.raises(ConfigurationError, match=r"^DIRECTUS_URL: must be false, or comma-separated URLs such as"):
        load_settings()


def test_nodes_of_directus_need_a_token_and_are_listed_once(monkeypatch):
    monkeypatch.setenv("DIRECTUS_URL", "http://a:8055/,https://[::1]/cms, http://a:8055")
    with pytest.raises(ConfigurationError, match=r"^DIRECTUS_TOKEN: must be set, because DIRECTUS_URL is$"):
        load_settings()
    monkeypatch.setenv("DIRECTUS_TOKEN", "one\r\ntwo")
    with pytest.raises(ConfigurationError, match=r"^DIRECTUS_TOKEN: must consist of ASCII characters without spaces$"):
        load_settings()
    monkeypatch.setenv("DIRECTUS_TOKEN", "t0k-en_")
    assert load_settings().directus_url == ("http://a:8055", "https://[::1]/cms")
    monkeypatch.delenv("DIRECTUS_URL")
    with pytest.raises(ConfigurationError, match=r"^DIRECTUS_URL: must be set, because DIRECTUS_TOKEN is$"):
        load_settings()


def test_an_error_names_every_invalid_setting(monkeypatch):
    monkeypatch.setenv("PORT", "many")
    monkeypatch.setenv("LOG_LEVEL", "loud")

    with pytest.raises(ConfigurationError, match=r"PORT: .*; LOG_LEVEL: "):
        load_settings()


def test_secrets_are_not_shown(monkeypatch):
    for name in SECRETS:
        monkeypatch.setenv(name, "s3cr3t" * 6)
    monkeypatch.setenv("DIRECTUS_URL", "false")
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:s3cr3t@127.0.0.1/rollcall")
    text = repr(load_settings()) + str(load_settings())
    monkeypatch.setenv("PORT", "many")
    with pytest.raises(ConfigurationError) as error:
        load_settings()

    assert "s3cr3t" not in text + str(error.value)


def test_every_setting_has_a_description():
    undescribed = [name for name, field in Settings.model_fields.items() if not field.description]

    assert undescribed == []


def settings_in(directory, **overrides):
    return Settings(_env_file=None, database_url=f"sqlite+aiosqlite:///{directory}/rollcall.db", **overrides)


def test_a_configured_secret_is_used(tmp_path):
    assert signing_secret(settings_in(tmp_path, secret="configured")) == "configured"
    assert list(tmp_path.iterdir()) == []


def test_without_secret_one_is_stored_next_to_the_sqlite_file_for_its_owner_only(tmp_path):
    secret = signing_secret(settings_in(tmp_path / "data"))

    assert secret == signing_secret(settings_in(tmp_path / "data")) == (tmp_path / "data" / "secret").read_text()
    assert len(secret) >= 32
    assert stat.S_IMODE((tmp_path / "data" / "secret").stat().st_mode) == 0o600
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["secret"]


def test_processes_that_start_at_once_share_one_secret(tmp_path):
    secrets, start = [], threading.Barrier(8)

    def read_secret():
        start.wait()
        secrets.append(signing_secret(settings_in(tmp_path)))

    threads = [threading.Thread(target=read_secret) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(secrets) == 8
    assert len(set(secrets)) == 1


def test_an_empty_secret_file_is_rejected(tmp_path):
    (tmp_path / "secret").write_text("\n")

    with pytest.raises(ConfigurationError, match="contains no secret: remove it"):
        signing_secret(settings_in(tmp_path))


def test_a_secret_file_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match=r"SECRET is not set, and its file .* cannot be used"):
        signing_secret(settings_in(tmp_path / "file"))


def test_on_postgresql_the_secret_is_stored_in_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    settings = Settings(_env_file=None, database_url="postgresql://x/y")
    secret = signing_secret(settings)

    assert secret == signing_secret(settings) == (tmp_path / "data/secret").read_text()
    assert (tmp_path / "data/secret").stat().st_mode & 0o077 == 0


def test_the_hash_cost_is_that_of_directus_unless_configured(monkeypatch):
    assert Settings(_env_file=None).hash_cost == HashCost(memory=65536, time=3, parallelism=4)
    monkeypatch.setenv("HASH_TIME_COST", "5")
    assert Settings(_env_file=None).hash_cost == HashCost(memory=65536, time=5, parallelism=4)
    monkeypatch.setenv("HASH_MEMORY_COST", "16")
    with pytest.raises(ConfigurationError, match=r"^HASH_MEMORY_COST: 4 threads need at least 32 KiB$"):
        load_settings()


@pytest.mark.parametrize(("name", "value"), [("SECRET", "x" * 31), ("PUBLIC_URL", "rollcall.example.com")])
def test_an_unsafe_setting_is_a_warning_on_sqlite_and_an_error_on_postgresql(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    (warning,) = setting_warnings(load_settings())
    monkeypatch.setenv("DATABASE_URL", "postgresql://rollcall@127.0.0.1/rollcall")

    with pytest.raises(ConfigurationError, match=name) as error:
        load_settings()

    assert warning.startswith(name)
    assert value not in warning + str(error.value)


def test_safe_settings_have_no_warning(monkeypatch):
    monkeypatch.setenv("SECRET", "x" * 32)
    monkeypatch.setenv("PUBLIC_URL", "https://rollcall.example.com")

    assert setting_warnings(load_settings()) == []


def test_a_misspelled_setting_is_a_warning_with_the_nearest_name(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("DATABASE_URI=x\nEMAIL_SMTP_POOL=true\nTEST_DATABASE_URL=x\n")
    monkeypatch.setenv("CORS_ORIGINS", "x")

    assert setting_warnings(load_settings()) == [
        "CORS_ORIGINS is not a setting. Did you mean CORS_ORIGIN?",
        "DATABASE_URI is not a setting. Did you mean DATABASE_URL?",
    ]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"PORT=9000\n\n\nDATABASE_URL postgresql://hidden\n", 4),
        (b"PORT=9000\nSECRET='hidden\nHOST=0.0.0.0\n", 2),
        (b"# comment\nDATABASE_URL\n", 2),
        (b"PORT=9000\nSECRET=hidden\xff\n", 2),
    ],
    ids=["no equals sign", "open quote", "only a name", "not UTF-8"],
)
def test_an_env_file_that_cannot_be_parsed_is_rejected_with_its_line(content, line, tmp_path):
    (tmp_path / ".env").write_bytes(content)

    with pytest.raises(EnvFileError, match=rf"^\.env, line {line}: ") as error:
        load_settings()

    assert "hidden" not in str(error.value)


def test_an_env_file_that_is_a_directory_is_rejected(tmp_path):
    (tmp_path / ".env").mkdir()

    with pytest.raises(EnvFileError, match=r"^\.env is a directory"):
        load_settings()


def test_an_env_file_may_start_with_a_byte_order_mark_and_have_other_line_ends(tmp_path):
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfPORT=9000\r\nexport HOST='0.0.0.0'  # comment\r\n")

    assert (load_settings().port, load_settings().host) == (9000, "0.0.0.0")
