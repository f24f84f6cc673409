"""Looks for stale rights: rights change one after the other while users with these rights read on every node.

A node compares the access version of each response with the one it knows, so that it finds out that one replica is
behind as soon as it has read from another one. What matters is therefore the first read of a user on a node after a
change. So each right belongs to two users: one reads all the time, and the other only at the moment when a change is
acknowledged, on all nodes at once.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle

import asyncpg
import httpx
import orjson

from app.db.replicas import STALE_SECONDS
from tests.distributed.cluster import Cluster, Server
from tests.distributed.nodes import Connection

NO_ROW: dict[str, object] = {"id": {"_null": True}}
EMPTY = b'{"data":[]}'
"""The rule of a permission that grants no row, and the response to a read with it. Both rights take a statement."""
GRANT = {"collection": "directus_roles", "action": "read", "fields": ["id", "name"], "permissions": {}}
PATH = "/roles?fields=name&limit=1"
PAUSE_SECONDS = (6.0, 0.3, 1.0, 0.5)
SECONDS_BETWEEN_PAUSES = 4.0
PROBES_PER_NODE = 2
GAPS, GAP_WEIGHTS = ((0.0, 0.05), (STALE_SECONDS, STALE_SECONDS + 0.1)), (3, 1)
"""Seconds between two changes: a node that has seen one reads from the primary for a while, which hides the next."""
BY_API, BY_SQL = "by the API", "by SQL"

Change = Callable[[str, bool], Awaitable[bool]]
"""Grants a permission or withdraws it; returns whether that was acknowledged."""


@dataclass
class Right:
    """A right of two users, and what is known about it: whether it is granted, unless a change of it is under way."""

    permission: str
    token: str
    probes: Sequence[Connection]
    """Connections of the user who reads only when a change is acknowledged."""
    granted: bool = True
    changing: bool = False
    version: int = 0
    acknowledged: float = 0.0

    @property
    def state(self) -> tuple[int, bool]:
        """What changes whenever the right may have changed."""
        return self.version, self.changing


@dataclass
class Findings:
    """What the readers have seen, and how long each change waited, in seconds."""

    reads: int = 0
    judged: int = 0
    withdrawn_seen: int = 0
    granted_missing: int = 0
    changes_with_stale_reads: set[tuple[str, int]] = field(default_factory=set)
    first_reads: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    waits: dict[str, list[float]] = field(default_factory=lambda: {BY_API: [], BY_SQL: []})
    withdrawals: int = 0
    pauses: int = 0
    own_writes: int = 0
    waits_of_own_writes: list[float] = field(default_factory=list)
    own_writes_missed: int = 0

    def count(self, status: int) -> None:
        """Count a read with its status."""
        self.reads += 1
        self.statuses[status] += 1

    def judge(self, right: Right, *, is_visible: bool) -> None:
        """Compare what a read has shown with the right, which has not changed meanwhile."""
        self.judged += 1
        if is_visible != right.granted:
            self.withdrawn_seen += is_visible
            self.granted_missing += not is_visible
            self.changes_with_stale_reads.add((right.permission, right.version))

    @property
    def stale(self) -> int:
        """Reads sent after a change was acknowledged that show the right before it."""
        return self.withdrawn_seen + self.granted_missing

    @property
    def changes(self) -> int:
        """Acknowledged changes."""
        return sum(map(len, self.waits.values()))


async def created(node: httpx.AsyncClient, path: str, **values: object) -> str:
    response = await node.post(path, json=values)
    assert response.is_success, response.text
    return str(response.json()["data"]["id"])


async def add_users(node: httpx.AsyncClient, tokens: Sequence[str], *permissions: Mapping[str, object]) -> list[str]:
    """Add users with these tokens and a role of their own, and return the keys of its permissions."""
    role = await created(node, "/roles", name=tokens[0])
    policy = await created(node, "/policies", name=tokens[0])
    await created(node, "/access", role=role, policy=policy)
    for token in tokens:
        await created(node, "/users", email=f"{token}@example.com", role=role, token=token, status="active")
    return [await created(node, "/permissions", policy=policy, **permission) for permission in permissions]


async def add_right(nodes: Sequence[httpx.AsyncClient], name: str) -> Right:
    """Add a right and its two users, who have read on every node."""
    reader, prober = f"{name}-reader", f"{name}-prober"
    (permission,) = await add_users(nodes[0], [reader, prober], GRANT)
    probes = [Connection(node, PATH, prober) for node in nodes for _ in range(PROBES_PER_NODE)]
    await asyncio.gather(*(probe.get() for probe in probes))
    return Right(permission, reader, probes)


def change_by_api(nodes: Sequence[httpx.AsyncClient]) -> Change:
    """Return what changes a permission through any node."""

    async def change(permission: str, granted: bool) -> bool:
        body = {"permissions": {} if granted else NO_ROW}
        return (await random.choice(nodes).patch(f"/permissions/{permission}", json=body)).is_success

    return change


@asynccontextmanager
async def changing_by_sql(server: Server) -> AsyncIterator[Change]:
    """Yield what changes a permission as another program does, by a connection to the primary."""
    connection = await asyncpg.connect(server.url(), server_settings={"application_name": "neighbour"})
    statement = "UPDATE directus_permissions SET permissions = $2 WHERE id = $1"

    async def change(permission: str, granted: bool) -> bool:
        rule = orjson.dumps({} if granted else NO_ROW).decode()
        await connection.execute(statement, int(permission), rule)
        return True

    try:
        yield change
    finally:
        await connection.close()


async def change_rights(
    rights: Sequence[Right], findings: Findings, ways: Mapping[str, Change], until: Callable[[], bool]
) -> None:
    """Withdraw and grant each right in turn, by each way in turn."""
    for right, way in cycle((right, way) for way in ways for _ in (True, False) for right in rights):
        if until():
            return
        granted, began, right.changing = not right.granted, time.monotonic(), True
        while not await ways[way](right.permission, granted):  # noqa: ASYNC110  # a client that repeats a request
            await asyncio.sleep(0.05)
        right.granted, right.version, right.changing = granted, right.version + 1, False
        right.acknowledged = time.monotonic()
        findings.waits[way].append(right.acknowledged - began)
        findings.withdrawals += not granted
        await asyncio.gather(*(probe(right, findings, connection) for connection in right.probes))
        await asyncio.sleep(random.uniform(*random.choices(GAPS, GAP_WEIGHTS)[0]))


async def read_all_the_time(
    right: Right, findings: Findings, node: httpx.AsyncClient, until: Callable[[], bool]
) -> None:
    """Read rows for which the right changes, and judge each response during which it did not change."""
    connection = Connection(node, PATH, right.token)
    while not until():
        before = right.state
        status, body = await connection.get()
        findings.count(status)
        if status == httpx.codes.OK and before == right.state and not right.changing:
            findings.judge(right, is_visible=body != EMPTY)
    connection.close()


async def probe(right: Right, findings: Findings, connection: Connection) -> None:
    """Read once, directly after a change."""
    findings.first_reads.append(time.monotonic() - right.acknowledged)
    status, body = await connection.get()
    findings.count(status)
    if status == httpx.codes.OK:
        findings.judge(right, is_visible=body != EMPTY)


async def write_and_read_own(
    token: str, findings: Findings, nodes: Sequence[httpx.AsyncClient], until: Callable[[], bool]
) -> None:
    """Change a user's own row through any node, and read it at once through another connection to any node."""
    headers = {"Authorization": f"Bearer {token}"}
    readers = [Connection(node, "/users/me?fields=title", token) for node in nodes]
    while not until():
        title, began = f"title {findings.own_writes}", time.monotonic()
        written = await random.choice(nodes).patch("/users/me", json={"title": title}, headers=headers)
        if written.is_success:
            findings.waits_of_own_writes.append(time.monotonic() - began)
            status, body = await random.choice(readers).get()
            findings.own_writes += 1
            findings.own_writes_missed += status == httpx.codes.OK and orjson.loads(body)["data"]["title"] != title
        await asyncio.sleep(random.choice((0, 0.05, 0.3)))
    for reader in readers:
        reader.close()


async def pause_now_and_then(cluster: Cluster, findings: Findings, until: Callable[[], bool]) -> None:
    """Pause the replay of both replicas, of one, and of the other in turn, for long and short times."""
    first, second = cluster.standbys
    while not until():
        await asyncio.sleep(SECONDS_BETWEEN_PAUSES)
        paused = ([first, second], [first], [second])[findings.pauses % 3]
        for standby in paused:
            await standby.execute("SELECT pg_wal_replay_pause()")
        await asyncio.sleep(PAUSE_SECONDS[findings.pauses % len(PAUSE_SECONDS)])
        for standby in paused:
            await standby.execute("SELECT pg_wal_replay_resume()")
        findings.pauses += 1


@dataclass(frozen=True)
class Workload:
    """How many reads, changes and rights there are."""

    name: str
    reads: int
    changes: int
    rights: int = 2


async def look_for_stale_rights(cluster: Cluster, nodes: Sequence[httpx.AsyncClient], workload: Workload) -> Findings:
    """Change rights, read them on every node, pause replicas, and write own rows; return what was seen."""
    findings = Findings()
    rights = [await add_right(nodes, f"{workload.name}-{number}") for number in range(workload.rights)]
    writer = f"{workload.name}-writer"
    rules: dict[str, object] = {"collection": "directus_users", "fields": ["*"], "permissions": {}}
    await add_users(nodes[0], [writer], {**rules, "action": "read"}, {**rules, "action": "update"})

    def has_changed_enough() -> bool:
        return findings.changes >= workload.changes

    def is_done() -> bool:
        return has_changed_enough() and findings.reads >= workload.reads

    async with changing_by_sql(cluster.primary) as by_sql:
        ways = {BY_API: change_by_api(nodes), BY_SQL: by_sql}
        await asyncio.gather(
            *(read_all_the_time(right, findings, node, is_done) for right in rights for node in nodes),
            change_rights(rights, findings, ways, has_changed_enough),
            write_and_read_own(writer, findings, nodes, is_done),
            pause_now_and_then(cluster, findings, has_changed_enough),
        )
    for connection in (connection for right in rights for connection in right.probes):
        connection.close()
    return findings


@asynccontextmanager
async def without_waits(server: Server) -> AsyncIterator[None]:
    """Take from the triggers that a change of rights waits for replicas while the block runs."""
    query = """SELECT array_agg(pg_get_functiondef(oid)) FROM pg_proc
        WHERE prosrc LIKE '%remote_apply%' AND pronamespace = 'public'::regnamespace"""
    definitions = await server.value(query)
    assert isinstance(definitions, list)
    await server.execute(*(definition.replace("remote_apply", "local") for definition in definitions))
    try:
        yield
    finally:
        await server.execute(*definitions)


def percentile(values: Sequence[float], part: float) -> float:
    """Return a percentile in milliseconds."""
    return round(sorted(values)[min(int(len(values) * part), len(values) - 1)] * 1000, 1) if values else 0.0


def summary(findings: Findings) -> dict[str, object]:
    """Return the figures of a run."""
    parts = (0.5, 0.9, 0.99, 1.0)
    return {
        "reads": findings.reads,
        "judged": findings.judged,
        "stale: withdrawn seen, granted missing": [findings.withdrawn_seen, findings.granted_missing],
        "changes, withdrawals": [findings.changes, findings.withdrawals],
        "changes with a stale read": len(findings.changes_with_stale_reads),
        "ms to the first reads after a change p50, p90, p99, max": _percentiles(findings.first_reads, parts),
        **{
            f"ms of a change {way} p50, p90, p99, max": _percentiles(findings.waits[way], parts)
            for way in findings.waits
        },
        "pauses": findings.pauses,
        "own writes, missed": [findings.own_writes, findings.own_writes_missed],
        "ms of an own write p50, p90, p99, max": _percentiles(findings.waits_of_own_writes, parts),
        "statuses": dict(findings.statuses),
    }


def _percentiles(values: Sequence[float], parts: Sequence[float]) -> list[float]:
    return [percentile(values, part) for part in parts]
