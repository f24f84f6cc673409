"""Where the servers of a test run: on this machine, or each in a network namespace of its own."""

import ctypes
import os
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

CLONE_NEWNET = 0x40000000


@dataclass(frozen=True)
class Host:
    """An address, and the network namespace in which it is; None is that of the tests."""

    address: str
    namespace: str | None = None

    def command(self, *command: object) -> list[str]:
        """Return a command that runs on this host."""
        prefix = ["ip", "netns", "exec", self.namespace] if self.namespace else []
        return [*prefix, *map(str, command)]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let this thread, and the threads and processes that it starts, use the network of this host."""
        current, wanted = Path("/proc/thread-self/ns/net"), Path(f"/run/netns/{self.namespace}")
        with current.open() as before, wanted.open() as after:
            _set_namespace(after.fileno())
            try:
                yield
            finally:
                _set_namespace(before.fileno())


LOCALHOST = Host("127.0.0.1")


def missing_namespaces() -> str | None:
    """Return why network namespaces can't be used, else None."""
    if os.getuid() != 0:
        return "only root may create network namespaces"
    name = _random_name("probe")
    commands = [("netns", "add", name), ("-n", name, "link", "add", "b0", "type", "bridge"), ("netns", "delete", name)]
    try:
        for command in commands:
            _ip(*command)
    except FileNotFoundError:
        return "the command `ip` is not installed"
    except subprocess.CalledProcessError as error:
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
        return f"network namespaces are not permitted: {error.stderr.strip()}"
    return None


@contextmanager
def running_network(names: Sequence[str]) -> Iterator[dict[str, Host]]:
    """Create a namespace per name, joined by a bridge in another one; at the end kill what runs in them."""
    prefix = _random_name("rollcall")
    switch = f"{prefix}-switch"
    hosts = {name: Host(f"10.93.0.{number}", f"{prefix}-{name}") for number, name in enumerate(names, 1)}
    try:
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "b0", "type", "bridge")
        _ip("-n", switch, "link", "set", "b0", "up")
        for number, host in enumerate(hosts.values(), 1):
            _join(host, switch, f"port{number}")
        yield hosts
    finally:
        for namespace in [*(host.namespace for host in hosts.values()), switch]:
            _remove(str(namespace))


def _join(host: Host, switch: str, port: str) -> None:
    """Create the namespace of a host, and connect it to the bridge."""
    name = str(host.namespace)
    _ip("netns", "add", name)
    _ip("-n", name, "link", "set", "lo", "up")
    _ip("-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", switch)
    _ip("-n", name, "address", "add", f"{host.address}/24", "dev", "eth0")
    _ip("-n", name, "link", "set", "eth0", "up")
    _ip("-n", switch, "link", "set", port, "master", "b0", "up")


def _remove(namespace: str) -> None:
    found = subprocess.run(["ip", "netns", "pids", namespace], check=False, capture_output=True, text=True)
    for pid in map(int, found.stdout.split()):
        if pid != os.getpid():
            with suppress(ProcessLookupError):
                os.kill(pid, SIGKILL)
    subprocess.run(["ip", "netns", "delete", namespace], check=False, capture_output=True)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


def _random_name(start: str) -> str:
    return f"{start}-{secrets.token_hex(3)}"


def _set_namespace(descriptor: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
