"""Selects the tests that run on one of the two databases by default, because their claims do not depend on which."""

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


def mark_other_database(items: Sequence[pytest.Item]) -> None:
    """Mark the cases that do not run by default because the same ones run on the other database.

    The cases of a test alternate between the databases. Which one the first case runs on depends on the test's name.
    """
    tests: dict[str, dict[str, list[pytest.Item]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        if len(DATABASE.findall(item.nodeid)) == 1:
            tests[item.nodeid.partition("[")[0]][DATABASE.sub("", item.nodeid)].append(item)
    for name, cases in tests.items():
        pairs = [sorted(case, key=lambda item: item.nodeid) for case in cases.values() if len(case) == 2]
        if pairs and _alternates(pairs[0][0], len(pairs)):
            for number, pair in enumerate(pairs, crc32(name.encode())):
                pair[number % 2].add_marker(pytest.mark.other_database)


def _alternates(item: pytest.Item, cases: int) -> bool:
    if item.get_closest_marker("both_databases"):
        return False
    directory = item.nodeid.split("/")[1]
    needs_one = item.get_closest_marker("one_database") is not None or directory in DIRECTORIES
    return needs_one or (directory in CASE_DIRECTORIES and cases > 1)
