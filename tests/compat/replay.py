"""Replays the recordings of a real Directus against a new server: `python -m tests.compat.replay sqlite`.

Prints how many responses of each group are as recorded or intended, and fails if there are fewer than in floor.json.
With `directus10` it replays the recordings of a Directus 10 against its database after the migration to Directus 11.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from tests.conftest import RECORDINGS, admin_url, create_database, run_on_server

COMPAT_FOLDER = Path(__file__).parent
FLOOR = json.loads((COMPAT_FOLDER / "floor.json").read_text())
ROLLCALL = [sys.executable, "-c", "from app.cli import main; main()"]
ACCEPTED_VERDICTS = {"same", "wording", "intended"}
DIRECTUS10 = "directus10"


def server_environment(url: str, port: int, smtp_port: int) -> dict[str, str]:
    """Return the environment of the recorded server, with mail sent to the port of the replay script."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(COMPAT_FOLDER.parents[1]),
        "SECRET": "oracle-secret-oracle-secret-oracle-secret",
        "ADMIN_EMAIL": "admin@example.com",
        "ADMIN_PASSWORD": "d1r3ctu5",
        "ADMIN_TOKEN": "admin-static-token-0000000000000000",
        "PUBLIC_URL": "http://127.0.0.1:8055",
        "PORT": str(port),
        "IP_TRUST_PROXY": "true",
        "ROOT_REDIRECT": "./admin",
        "STUDIO": "false",
        "EMAIL_TRANSPORT": "smtp",
        "EMAIL_SMTP_HOST": "127.0.0.1",
        "EMAIL_SMTP_PORT": str(smtp_port),
        "EMAIL_FROM": "no-reply@example.com",
        "EMAIL_MIN_INTERVAL": "0",
        "USER_INVITE_URL_ALLOW_LIST": "http://127.0.0.1:3000/accept",
        "PASSWORD_RESET_URL_ALLOW_LIST": "http://127.0.0.1:3000/reset",
        "USER_REGISTER_URL_ALLOW_LIST": "http://127.0.0.1:3000/verify",
        "RATE_LIMITER_REGISTRATION_POINTS": "1000",
        "LOG_LEVEL": "warn",
        "DATABASE_URL": url,
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def temporary_database(kind: str, folder: str) -> Iterator[str]:
    """Create a database of this kind, yield its URL, and drop it afterwards."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/rollcall.db"
        return
    name = f"rollcall_replay_{uuid4().hex[:8]}"
    asyncio.run(create_database(name))
    try:
        yield admin_url(name)
    finally:
        asyncio.run(run_on_server(f"DROP DATABASE {name} WITH (FORCE)"))


@contextmanager
def running_server(env: dict[str, str], folder: str) -> Iterator[str]:
    """Bootstrap the database, run a server with this environment, and yield its URL."""
    server = subprocess.Popen([*ROLLCALL, "quickstart", "--serve"], env=env, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        wait_until_ready(int(env["PORT"]))
        yield f"http://127.0.0.1:{env['PORT']}"
    finally:
        server.send_signal(signal.SIGTERM)
        if server.wait(20) not in (0, -signal.SIGTERM):
            sys.exit("the server did not stop cleanly")


def replay(
    url: str,
    folder: str,
    groups: str,
    show: int,
    *,
    cases: str = "oracle/cases",
    deviations: str = "",
    **overrides: str,
) -> Counter[str]:
    """Return the number of accepted responses per group, with a server on the database at `url`.

    `overrides` are environment variables of the server.
    """
    smtp_port = free_port()
    with running_server(server_environment(url, free_port(), smtp_port) | overrides, folder) as base_url:
        out = Path(folder, "verdicts.jsonl")
        script = str(RECORDINGS / "oracle/replay.py")
        command = [sys.executable, script, "--base-url", base_url, "--smtp-port", str(smtp_port)]
        command += ["--only", groups, "--deviations", str(COMPAT_FOLDER / f"deviations{deviations}.json")]
        command += ["--show", str(show), "--json", str(out), str(RECORDINGS / f"{cases}.jsonl")]
        subprocess.run(command, check=False)
    verdicts = [json.loads(line) for line in out.read_text().splitlines()]
    return Counter(verdict["case"].partition("/")[0] for verdict in verdicts if verdict["verdict"] in ACCEPTED_VERDICTS)


def replay_directus10(url: str, folder: str, groups: str, show: int) -> Counter[str]:
    """Replay the recordings of a Directus 10, on an empty PostgreSQL database."""
    restore_dump(url, RECORDINGS / "migration/v11_migrated.sql")
    options = {"cases": "migration/v10-cases", "deviations": "-10", "COMPATIBILITY": "10"}
    return replay(url, folder, groups, show, **options)


def restore_dump(url: str, dump: Path) -> None:
    """Load a file written by pg_dump."""
    command = ["psql", url, "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f", str(dump)]
    subprocess.run(command, check=True, capture_output=True)


def wait_until_ready(port: int) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/server/ping", timeout=1)
        except OSError:
            time.sleep(0.1)
        else:
            return
    sys.exit("the server did not start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", choices=["sqlite", "postgresql", DIRECTUS10])
    parser.add_argument("--only", help="comma-separated groups")
    parser.add_argument("--show", type=int, default=60, help="differences printed per group")
    options = parser.parse_args()
    groups = options.only or ",".join(FLOOR[DIRECTUS10] if options.database == DIRECTUS10 else FLOOR["groups"])
    if not RECORDINGS.exists():
        sys.exit("The recordings of a real Directus are missing: nothing was replayed.")
    print(f"Replay on {options.database}", flush=True)
    with tempfile.TemporaryDirectory() as folder, temporary_database(options.database, folder) as url:
        replay_recordings = replay_directus10 if options.database == DIRECTUS10 else replay
        accepted = replay_recordings(url, folder, groups, options.show)
    regressions = {
        group: f"{accepted[group]}, floor {floor}"
        for group, floor in FLOOR[options.database].items()
        if group in groups.split(",") and accepted[group] < floor
    }
    if regressions:
        sys.exit(f"Fewer responses are as recorded than in floor.json: {regressions}")


if __name__ == "__main__":
    main()
