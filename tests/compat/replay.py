"""Replays the recordings of a real Directus against a fresh server: `python -m tests.compat.replay sqlite`.

Says how many answers of each group are as recorded, or intended, and fails under the floor that floor.json records.
With `directus10` it is what a Directus 10 answered, of a database that was brought from there to 11 and then adopted.
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

HERE = Path(__file__).parent
FLOOR = json.loads((HERE / "floor.json").read_text())
ROLLCALL = [sys.executable, "-c", "from app.cli import main; main()"]
GOOD = {"same", "wording", "intended"}
FORMER = "directus10"


def environment(url: str, port: int, mail: int) -> dict[str, str]:
    """The settings that the recorded server had; its mail goes to the port of whoever replays."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(HERE.parents[1]),
        "SECRET": "oracle-secret-oracle-secret-oracle-secret",
        "ADMIN_EMAIL": "admin@example.com",
        "ADMIN_PASSWORD": "d1r3ctu5",
        "ADMIN_TOKEN": "admin-static-token-0000000000000000",
        "PUBLIC_URL": "http://127.0.0.1:8055",
        "PORT": str(port),
        "IP_TRUST_PROXY": "true",
        "ROOT_REDIRECT": "./admin",
        "EMAIL_TRANSPORT": "smtp",
        "EMAIL_SMTP_HOST": "127.0.0.1",
        "EMAIL_SMTP_PORT": str(mail),
        "EMAIL_FROM": "no-reply@example.com",
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
def a_database(kind: str, folder: str) -> Iterator[str]:
    """The address of a new database of this kind, which is gone afterwards."""
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
def a_server(env: dict[str, str], folder: str) -> Iterator[str]:
    """The address of a server with these settings, bootstrapped before."""
    subprocess.run([*ROLLCALL, "bootstrap"], env=env, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    server = subprocess.Popen([*ROLLCALL, "serve"], env=env, cwd=folder)
    try:
        wait_for(int(env["PORT"]))
        yield f"http://127.0.0.1:{env['PORT']}"
    finally:
        server.send_signal(signal.SIGTERM)
        if server.wait(20) not in (0, -signal.SIGTERM):
            sys.exit("the server did not stop as it should")


def replay(
    url: str, folder: str, groups: str, show: int, *, cases: str = "oracle/cases", deviations: str = "", **more: str
) -> Counter[str]:
    """The number of good answers by group, on the database at `url`; `more` are settings."""
    mail = free_port()
    with a_server(environment(url, free_port(), mail) | more, folder) as address:
        out = Path(folder, "verdicts.jsonl")
        command = [
            sys.executable,
            str(RECORDINGS / "oracle/replay.py"),
            "--base-url",
            address,
            "--smtp-port",
            str(mail),
        ]
        command += ["--only", groups, "--deviations", str(HERE / f"deviations{deviations}.json")]
        command += ["--show", str(show), "--json", str(out), str(RECORDINGS / f"{cases}.jsonl")]
        subprocess.run(command, check=False)
    verdicts = [json.loads(line) for line in out.read_text().splitlines()]
    return Counter(verdict["case"].partition("/")[0] for verdict in verdicts if verdict["verdict"] in GOOD)


def replay_former(url: str, folder: str, groups: str, show: int) -> Counter[str]:
    """The same for what a Directus 10 answered, on an empty PostgreSQL database."""
    restore(url, RECORDINGS / "migration/v11_migrated.sql")
    more = {"cases": "migration/v10-cases", "deviations": "-10", "COMPATIBILITY": "10"}
    return replay(url, folder, groups, show, **more)


def restore(url: str, dump: Path) -> None:
    """Loads what pg_dump wrote."""
    command = ["psql", url, "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f", str(dump)]
    subprocess.run(command, check=True, capture_output=True)


def wait_for(port: int) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/server/ping", timeout=1)
        except OSError:
            time.sleep(0.1)
        else:
            return
    sys.exit("the server did not come up")


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("database", choices=["sqlite", "postgresql", FORMER])
    ask.add_argument("--only", help="groups, divided by commas")
    ask.add_argument("--show", type=int, default=60, help="differences to print for each group")
    asked = ask.parse_args()
    groups = asked.only or ",".join(FLOOR[FORMER] if asked.database == FORMER else FLOOR["groups"])
    if not RECORDINGS.exists():
        sys.exit("The recordings of a real Directus are not beside this checkout: nothing was replayed.")
    print(f"Replay on {asked.database}", flush=True)
    with tempfile.TemporaryDirectory() as folder, a_database(asked.database, folder) as url:
        run = replay_former if asked.database == FORMER else replay
        good = run(url, folder, groups, asked.show)
    fallen = {
        group: f"{good[group]}, once {least}"
        for group, least in FLOOR[asked.database].items()
        if group in groups.split(",") and good[group] < least
    }
    if fallen:
        sys.exit(f"Fewer answers are as recorded than there were: {fallen}")


if __name__ == "__main__":
    main()
