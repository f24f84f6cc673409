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
DATABASE = re.compile(r"(?<=[\[-])(?:sqlite|postgresql)(?=[\]-])")


def mark_other_database(items: Sequence[pytest.Item]) -> None:
    """Mark the tests that do not run by default because the same ones run on the other database.

    Which one a test runs on depends on its name, so that about half of the tests of each module run on each.
    """
    pairs = defaultdict(list)
    for item in items:
        if _needs_one_database(item) and len(DATABASE.findall(item.nodeid)) == 1:
            pairs[DATABASE.sub("", item.nodeid)].append(item)
    for name, pair in pairs.items():
        if len(pair) == 2:
            pair[crc32(name.encode()) % 2].add_marker(pytest.mark.other_database)


def _needs_one_database(item: pytest.Item) -> bool:
    if item.get_closest_marker("both_databases"):
        return False
    return bool(item.get_closest_marker("one_database")) or item.nodeid.split("/")[1] in DIRECTORIES
