"""Runs PostgreSQL servers for the tests: a primary and streaming standbys, in a temporary directory."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg

from tests.compat.replay import free_port
from tests.distributed.hosts import LOCALHOST, Host

BINARIES = next((folder for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
USER = "postgres"
CONNECT_SECONDS, STREAMING_SECONDS = 30, 60
"""What connecting to a server, and streaming from one, may take on a busy machine."""
SETTINGS = """
unix_socket_directories = ''
max_connections = 200
synchronous_commit = local
wal_receiver_status_interval = 1s
wal_retrieve_retry_interval = 200ms
hot_standby_feedback = on
shared_buffers = 32MB
max_wal_size = 256MB
"""


def missing_requirements() -> str | None:
    """Return what is missing to run a cluster, else None."""
    if BINARIES is None or not (BINARIES / "initdb").exists():
        return "PostgreSQL's binaries are not in /usr/lib/postgresql"
    if os.getuid() == 0 and not any(entry.pw_name == USER for entry in pwd.getpwall()):
        return f"PostgreSQL does not run as root, and there is no user {USER}"
    return None


def as_user(*command: object) -> list[str]:
    """Return a command that runs as a user who may run PostgreSQL."""
    prefix = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if os.getuid() == 0 else []
    return [*prefix, *map(str, command)]


class Server:
    """One PostgreSQL server; its name is its `cluster_name`, by which a standby identifies itself."""

    def __init__(self, folder: Path, name: str, host: Host = LOCALHOST) -> None:
        self.folder, self.name, self.host, self.port = folder / name, name, host, free_port()

    @property
    def address(self) -> str:
        return f"{self.host.address}:{self.port}"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}@{self.address}/{database}"

    def create(self) -> None:
        self._run("initdb", "-D", self.folder, "-A", "trust", "-U", USER, "--locale=C.UTF-8", "--no-sync")
        with (self.folder / "postgresql.conf").open("a") as file:
            file.write(SETTINGS)
        with (self.folder / "pg_hba.conf").open("a") as file:
            file.write("host all all samenet trust\nhost replication all samenet trust\n")
        self._configure()

    def copy_of(self, primary: "Server") -> None:
        """Create a standby of a running primary."""
        shutil.rmtree(self.folder, ignore_errors=True)
        source = f"host={primary.host.address} port={primary.port} user={USER}"
        self._run("pg_basebackup", "-D", self.folder, "-d", source, "-R", "-X", "stream", "-c", "fast", "--no-sync")
        self._configure()

    def _run(self, program: str, *arguments: object) -> None:
        assert BINARIES is not None
        command = self.host.command(*as_user(BINARIES / program, *arguments))
        subprocess.run(command, check=True, capture_output=True, cwd="/")

    def _configure(self) -> None:
        with (self.folder / "postgresql.conf").open("a") as file:
            file.write(f"listen_addresses = '{self.host.address}'\nport = {self.port}\ncluster_name = '{self.name}'\n")

    def start(self) -> None:
        self._run("pg_ctl", "-D", self.folder, "-l", self.folder / "log", "-w", "start")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "-D", self.folder, "-m", mode, "-w", "stop")

    def kill(self) -> None:
        """Kill every process of the server, as a crash of the machine would."""
        postmaster = int((self.folder / "postmaster.pid").read_text().split()[0])
        children = subprocess.run(["pgrep", "-P", str(postmaster)], capture_output=True, text=True, check=False)
        for pid in [postmaster, *map(int, children.stdout.split())]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def promote(self) -> None:
        self._run("pg_ctl", "-D", self.folder, "-w", "promote")

    async def execute(self, *statements: str) -> None:
        """Run statements one after the other, each in a transaction of its own."""
        connection = await asyncpg.connect(self.url(), timeout=CONNECT_SECONDS)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def value(self, query: str, database: str = "postgres") -> object:
        connection = await asyncpg.connect(self.url(database), timeout=CONNECT_SECONDS)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    async def set_synchronous(self, *standbys: str) -> None:
        names = f"FIRST {len(standbys)} ({', '.join(standbys)})" if standbys else ""
        await self.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'", "SELECT pg_reload_conf()")


class Cluster:
    """A primary and its standbys, each on a host."""

    def __init__(self, folder: Path, hosts: Sequence[Host]) -> None:
        self.primary = Server(folder, "p0", hosts[0])
        self.standbys = [Server(folder, f"s{number}", host) for number, host in enumerate(hosts[1:], 1)]

    @property
    def servers(self) -> list[Server]:
        return [self.primary, *self.standbys]

    def start(self) -> None:
        self.primary.create()
        self.primary.start()
        for standby in self.standbys:
            standby.copy_of(self.primary)
            standby.start()

    def stop(self) -> None:
        for server in self.servers:
            if (server.folder / "postmaster.pid").exists():
                subprocess.run(
                    as_user(f"{BINARIES}/pg_ctl", "-D", server.folder, "-m", "immediate", "stop"),
                    check=False,
                    capture_output=True,
                    cwd="/",
                )

    def url(self, database: str) -> str:
        """Return a URL with every server."""
        hosts = ",".join(server.address for server in self.servers)
        return f"postgresql://{USER}@{hosts}/{database}"

    async def follow(self, standby: Server, primary: Server) -> None:
        """Let a standby that runs follow another primary."""
        source = f"host={primary.host.address} port={primary.port} user={USER}"
        await standby.execute(f"ALTER SYSTEM SET primary_conninfo = '{source}'", "SELECT pg_reload_conf()")

    async def streaming(self, primary: Server, count: int) -> None:
        """Wait until so many standbys follow a primary."""
        async with asyncio.timeout(STREAMING_SECONDS):
            query = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
            while await primary.value(query) != count:  # noqa: ASYNC110  # nothing notifies of it
                await asyncio.sleep(0.1)


@contextmanager
def running_cluster(standbys: int, hosts: Sequence[Host] = ()) -> Iterator[Cluster]:
    """Run a primary with this many standbys, each on one of the hosts if there are any."""
    folder = Path(tempfile.mkdtemp(prefix="rollcall-cluster-"))
    if os.getuid() == 0:
        shutil.chown(folder, USER, USER)
    cluster = Cluster(folder, hosts or [LOCALHOST] * (standbys + 1))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
