"""Selects the tests that run by default: most cases on one database, and of some tests a sample of the cases."""

import re
from collections import defaultdict
from collections.abc import Sequence
from zlib import crc32

import pytest

DIRECTORIES = (
    "access",
    "api_tokens",
    "cli",
    "compat",
    "custom_fields",
    "deletion",
    "directus",
    "extensions",
    "files",
    "flows",
    "graphql",
    "http",
    "ldap",
    "mail",
    "metrics",
    "openapi",
    "passkeys",
    "policy_files",
    "readme",
    "single_sign_on",
    "studio",
    "tracing",
)
"""Directories whose tests run on one database by default, unless they are marked with `both_databases`.

The others test SQL, types, transactions or security: there only tests marked with `one_database` do.
"""
CASE_DIRECTORIES = ("db", "realtime", "security", "writes")
"""Directories in which the tests with several cases run each case on one database by default.

In all other directories each case runs on both, because it tests SQL or types.
"""
DATABASE = re.compile(r"(?<=[\[-])(?:sqlite|postgresql)(?=[\]-])")


SAMPLE_SIZE = 4
"""How many cases of a test with the mark `sampled` run by default."""


def mark_further_cases(items: Sequence[pytest.Item]) -> None:
    """Mark the cases of sampled tests that do not run by default: all but a few, evenly spread."""
    tests: dict[str, dict[str, list[pytest.Item]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        if item.get_closest_marker("sampled"):
            tests[item.nodeid.partition("[")[0]][DATABASE.sub("", item.nodeid)].append(item)
    for cases in tests.values():
        sampled = {number * len(cases) // SAMPLE_SIZE for number in range(SAMPLE_SIZE)}
        for number, case in enumerate(cases.values()):
            for item in case:
                if number not in sampled:
                    item.add_marker(pytest.mark.slow)


def mark_other_database(items: Sequence[pytest.Item]) -> None:
    """Mark the cases that do not run by default because the same ones run on the other database.

    The cases of a test alternate between the databases. Which one the first case runs on depends on the test's name.
    A test that moves data from each database to each runs between different ones.
    """
    tests: dict[str, dict[str, list[pytest.Item]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        test = item.nodeid.partition("[")[0] + (" (slow)" if item.get_closest_marker("slow") else "")
        tests[test][DATABASE.sub("", item.nodeid)].append(item)
    for name, cases in tests.items():
        moves = [item for case in cases.values() for item in case if _moves_within_one(item, case)]
        pairs = [sorted(case, key=lambda item: item.nodeid) for case in cases.values() if _is_pair(case)]
        others = [pair[number % 2] for number, pair in enumerate(pairs, crc32(name.encode()))]
        for item in moves + others:
            if _alternates(item, len(moves + others)):
                item.add_marker(pytest.mark.other_database)


def _is_pair(case: Sequence[pytest.Item]) -> bool:
    return len(case) == 2 and all(len(DATABASE.findall(item.nodeid)) == 1 for item in case)


def _moves_within_one(item: pytest.Item, case: Sequence[pytest.Item]) -> bool:
    """Return whether a test moves data within one database, and the same one moves them between both."""
    return len(case) == 4 and len(DATABASE.findall(item.nodeid)) == 2 and len(set(DATABASE.findall(item.nodeid))) == 1


def _alternates(item: pytest.Item, cases: int) -> bool:
    if item.get_closest_marker("both_databases"):
        return False
    directory = item.nodeid.split("/")[1]
    needs_one = item.get_closest_marker("one_database") is not None or directory in DIRECTORIES
    return needs_one or (directory in CASE_DIRECTORIES and cases > 1)
