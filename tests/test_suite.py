"""What the suite itself checks before it starts, and which tests it selects."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CONNECTIONS_PER_PROCESS, HAS_POSTGRESQL, connection_shortage, count_free_connections
from tests.selection import CASE_DIRECTORIES, DIRECTORIES, mark_further_cases, mark_other_database

ROOT = Path(__file__).parent


def test_a_shortage_of_connections_is_reported_with_their_number():
    enough = CONNECTIONS_PER_PROCESS * 3

    assert connection_shortage(enough, 3) is None
    assert str(connection_shortage(enough - 7, 3)).startswith(
        f"PostgreSQL has {enough - 7} free connections, and 3 test processes need 7 more."
    )


@pytest.mark.skipif(not HAS_POSTGRESQL, reason="PostgreSQL is unavailable")
async def test_the_free_connections_are_counted():
    assert await count_free_connections() > 0


class Item:
    """A test with a name and markers."""

    def __init__(self, nodeid, *markers):
        self.nodeid, self.markers = nodeid, list(markers)

    def get_closest_marker(self, name):
        return name if name in self.markers else None

    def add_marker(self, marker):
        self.markers.append(marker.name)


def selected(*nodeids, markers=()):
    """Return the names of the tests that run by default."""
    items: Any = [Item(nodeid, *markers) for nodeid in nodeids]
    mark_other_database(items)
    return [item.nodeid for item in items if "other_database" not in item.markers]


def pairs(path):
    return [f"{path}::test_it[{database}-{number}]" for number in range(20) for database in ("sqlite", "postgresql")]


@pytest.mark.parametrize("directory", [DIRECTORIES[0], CASE_DIRECTORIES[0]])
def test_the_cases_of_a_test_alternate_between_the_databases(directory):
    names = selected(*pairs(f"tests/{directory}/test_a.py"))

    assert [name.split("-")[1] for name in names] == [f"{number}]" for number in range(20)]
    databases = [name.split("[")[1].split("-")[0] for name in names]
    assert {tuple(databases[::2]), tuple(databases[1::2])} == {("sqlite",) * 10, ("postgresql",) * 10}


@pytest.mark.parametrize(("directory", "count"), [(DIRECTORIES[0], 1), (CASE_DIRECTORIES[0], 2), ("policy", 2)])
def test_a_test_without_cases_runs_on_one_database_only_in_some_directories(directory, count):
    path = f"tests/{directory}/test_a.py::test_it"
    assert len(selected(f"{path}[sqlite]", f"{path}[postgresql]")) == count


@pytest.mark.parametrize(
    ("path", "markers", "count"),
    [
        ("tests/policy/test_a.py", (), 40),
        ("tests/policy/test_a.py", ("one_database",), 20),
        (f"tests/{CASE_DIRECTORIES[0]}/test_a.py", (), 20),
        (f"tests/{CASE_DIRECTORIES[0]}/test_a.py", ("both_databases",), 40),
        (f"tests/{DIRECTORIES[0]}/test_a.py", ("both_databases",), 40),
        (f"tests/{DIRECTORIES[0]}/test_a.py", ("both_databases", "one_database"), 40),
    ],
)
def test_a_marker_takes_precedence_over_the_directory(path, markers, count):
    assert len(selected(*pairs(path), markers=markers)) == count


@pytest.mark.parametrize(("directory", "count"), [("policy", 8), (DIRECTORIES[0], 4)])
def test_of_a_sampled_test_a_few_cases_run_evenly_spread_and_on_both_databases(directory, count):
    items: Any = [Item(name, "sampled") for name in pairs(f"tests/{directory}/test_a.py")]
    mark_further_cases(items)
    mark_other_database(items)

    names = [item.nodeid for item in items if not {"other_database", "slow"} & {*item.markers}]
    assert len(names) == count
    assert {name.split("-")[1] for name in names} == {"0]", "5]", "10]", "15]"}
    assert sum("sqlite" in name for name in names) == count / 2


def test_all_cases_of_a_sampled_test_with_few_run():
    items: Any = [Item(name, "sampled") for name in pairs("tests/policy/test_a.py")[:6]]
    mark_further_cases(items)

    assert [item.markers for item in items] == [["sampled"]] * 6


def test_data_are_moved_between_databases_rather_than_within_one():
    databases = ("sqlite", "postgresql")
    names = [f"tests/{DIRECTORIES[0]}/test_a.py::test_it[{one}-{two}]" for one in databases for two in databases]

    assert selected(*names) == names[1:3]


@pytest.mark.parametrize(
    "parameters",
    [["sqlite"], ["postgresql-1"], ["1"], ["sqlite-postgresql", "postgresql-sqlite"], ["sqlite-v10", "postgresql-v11"]],
)
def test_a_test_without_its_like_on_the_other_database_always_runs(parameters):
    names = [f"tests/{DIRECTORIES[0]}/test_a.py::test_it[{parameter}]" for parameter in parameters]

    assert selected(*names) == names


@pytest.mark.parametrize("directory", DIRECTORIES + CASE_DIRECTORIES)
def test_the_directories_whose_tests_need_one_database_exist(directory):
    assert list((ROOT / directory).glob("test_*.py"))
