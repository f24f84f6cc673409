"""DATABASE_URL: one host or several, and which options are accepted."""

import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, literal, select, text

from app.core.errors import OperatorError, ServiceUnavailable
from app.db.database import Database
from app.db.database_url import has_several_hosts, parse_url
from app.db.driver_errors import OutcomeUnknown, StaleConnection
from app.db.host_list import HostList
from app.http.response import error_headers
from tests.conftest import HAS_POSTGRESQL, admin_url, make_settings, run_on_server

HOSTS = st.lists(st.tuples(st.text("abz09.-", min_size=1), st.integers(1, 65535)), min_size=2, max_size=5)
ONE = select(literal(1))
needs_postgresql = pytest.mark.skipif(not HAS_POSTGRESQL, reason="needs PostgreSQL")


def connect_arguments(url):
    parsed = parse_url(url)
    return parsed.get_dialect()().create_connect_args(parsed)[1]


@given(HOSTS)
@settings(max_examples=20)
def test_several_hosts_reach_the_driver_with_their_ports(hosts):
    listed = ",".join(f"{name}:{port}" for name, port in hosts)
    arguments = connect_arguments(f"postgresql://ann:s%40cret@{listed}/directory?sslmode=require")

    assert list(zip(arguments["host"], arguments["port"], strict=True)) == hosts
    assert (arguments["user"], arguments["password"]) == ("ann", "s@cret")
    assert (arguments["database"], arguments["ssl"]) == ("directory", "require")
    assert arguments["target_session_attrs"] == "read-write"


def test_a_host_may_be_an_ipv6_address_and_have_the_default_port():
    arguments = connect_arguments("postgresql://[2001:db8::1]:5433,db2.example.com/directory")

    assert (arguments["host"], arguments["port"]) == (["2001:db8::1", "db2.example.com"], [5433, 5432])


def test_one_host_needs_no_attributes():
    url = "postgresql://ann@db1.example.com:5433/directory"

    assert "target_session_attrs" not in connect_arguments(url)
    assert not has_several_hosts(parse_url(url))


@pytest.mark.parametrize("url", ["postgresql://a:x,b:2/name", "postgresql://a,,b/name", "postgresql://a,[b/name"])
def test_hosts_that_are_not_hosts_are_refused_without_the_password(url):
    with pytest.raises(OperatorError, match="DATABASE_URL is not a URL") as error:
        parse_url(url.replace("//", "//ann:hidden@"))

    assert "hidden" not in str(error.value)


@pytest.mark.parametrize("attributes", ["standby", "prefer-standby", "read-only"])
def test_attributes_with_which_writes_fail_are_refused(attributes):
    with pytest.raises(OperatorError, match=f"target_session_attrs={attributes}, with which writes fail"):
        parse_url(f"postgresql://a,b/name?target_session_attrs={attributes}")


@needs_postgresql
async def test_a_host_that_refuses_connections_is_passed_over():
    server = urlsplit(admin_url("postgres"))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        unused = closed.getsockname()[1]
    url = server._replace(netloc=server.netloc.replace("@", f"@127.0.0.1:{unused},")).geturl()
    database = Database.open(make_settings(url))

    assert (await database.reader.fetch(select(func.current_database())))[0] == "postgres"
    await database.dispose()


@needs_postgresql
async def test_a_silent_host_takes_its_part_of_the_time_once():
    server, hosts = urlsplit(admin_url("postgres")), HostList()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        options: dict[str, Any] = {"user": server.username, "password": server.password, "database": "postgres"}
        options |= {"host": ["127.0.0.1", server.hostname], "port": [silent.getsockname()[1], server.port]}
        connections = [await hosts.connect(**options, timeout=1.0) for _ in range(2)]
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):  # the second connection did not try this host again
            silent.accept()
    for connection in connections:
        await connection.close()


@needs_postgresql
async def test_a_server_that_rejects_connections_is_a_503_for_every_kind_of_statement():
    database = Database.open(make_settings(admin_url("no_such_database")))

    async def write(writer):
        return await writer.fetch(ONE)

    for work in (database.reader.fetch(ONE), database.run_write(write, exclusive=False)):
        with pytest.raises(ServiceUnavailable, match="database is unavailable"):
            await work
    await database.dispose()


@needs_postgresql
async def test_a_write_whose_connection_breaks_during_the_commit_is_not_run_again():
    database, runs = Database.open(make_settings(admin_url("postgres"))), []

    async def write(writer):
        runs.append((await writer.fetch(select(func.pg_backend_pid())))[0])
        await run_on_server(f"SELECT pg_terminate_backend({runs[-1]})")

    with pytest.raises(OutcomeUnknown, match="may or may not be saved") as error:
        await database.run_write(write, exclusive=False)
    await database.dispose()

    assert len(runs) == 1
    assert error_headers(error.value) == []
    assert error_headers(ServiceUnavailable("The database is unavailable"))


@needs_postgresql
async def test_a_write_that_reaches_a_standby_is_a_503():
    database = Database.open(make_settings(admin_url("postgres")))

    async def write(writer):
        await writer.execute(text("SET TRANSACTION READ ONLY"))
        await writer.execute(text("CREATE TABLE never_created (id int)"))

    with pytest.raises(StaleConnection):
        await database.run_write(write, exclusive=False)
    await database.dispose()
