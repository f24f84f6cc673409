"""Runs what stands beside PostgreSQL for the tests: Redis and PgBouncer."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGHUP

from tests.compat.replay import free_port
from tests.distributed.cluster import USER, Server, as_user
from tests.distributed.hosts import LOCALHOST, Host

PGBOUNCER = """
[databases]
* = host={server.host.address} port={server.port} user={user}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 500
server_login_retry = 1
pidfile = {file}.pid
"""


def missing_services() -> str | None:
    """Return what is not installed, else None."""
    missing = [program for program in ("redis-server", "pgbouncer") if not shutil.which(program)]
    return f"{missing[0]} is not installed" if missing else None


@dataclass
class Redis:
    """A running Redis: its URL, and its process."""

    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def running_redis(host: Host = LOCALHOST) -> Iterator[Redis]:
    """Run Redis without a file."""
    port = free_port()
    options = {"--port": port, "--bind": host.address, "--save": "", "--appendonly": "no", "--protected-mode": "no"}
    command = host.command("redis-server", *(part for option in options.items() for part in option))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield Redis(f"redis://{host.address}:{port}", process)
    finally:
        process.terminate()
        process.wait()


@dataclass
class PgBouncer:
    """A running PgBouncer: the URL to connect to, and its process."""

    url: str
    process: subprocess.Popen[bytes]
    file: Path
    options: dict[str, object]

    def lead_to(self, server: Server) -> None:
        """Send new connections to another server from now on."""
        self.file.write_text(PGBOUNCER.format(**self.options, server=server))
        self.process.send_signal(SIGHUP)


@contextmanager
def running_pgbouncer(server: Server, mode: str, size: int, host: Host = LOCALHOST) -> Iterator[PgBouncer]:
    """Run PgBouncer in front of a server."""
    port, file = free_port(), server.folder.parent / f"pgbouncer-{mode}.ini"
    options = {"user": USER, "host": host.address, "port": port, "mode": mode, "size": size, "file": file}
    file.write_text(PGBOUNCER.format(**options, server=server))
    process = subprocess.Popen(host.command(*as_user("pgbouncer", "-q", file)), stderr=subprocess.DEVNULL)
    try:
        yield PgBouncer(server.url().replace(server.address, f"{host.address}:{port}"), process, file, options)
    finally:
        process.terminate()
        process.wait()
