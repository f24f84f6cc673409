"""A statement that many live queries share decides about each row as the query of each one alone does."""

from collections import defaultdict

import pytest

from app.policy.resolver import ROW_KEY
from app.query.operators import OPERATORS
from app.repositories.live_reader import LiveReader
from app.repositories.stores.events import EventStore
from tests.base_data import caller

TEXTS = ("E", "d", "ed%", "Ed", "é")
MAX_ROWS = 1_000
NO_FILTERS = ("_regex", "_submitted")
"""Operators that only validations have."""


def value_of(operator, text):
    return {"one": text, "many": [text, "Ada"], "pair": [text, "Z"]}.get(OPERATORS[operator].arity, True)


def filters(field):
    """Return a filter for each operator of texts and each text."""
    names = sorted(
        name for name, operator in OPERATORS.items() if "string" in operator.kinds and name not in NO_FILTERS
    )
    return [{field: {name: value_of(name, text)}} for name in names for text in TEXTS]


@pytest.mark.parametrize("field", ["first_name", "email", "role"])
async def test_a_shared_statement_returns_the_rows_that_each_query_shows(readonly_db, field):
    reader = LiveReader(readonly_db.services, MAX_ROWS)
    access = await readonly_db.services.access_cache.access(caller("ed"))
    parser, mark = (
        readonly_db.directory(caller("ed"))["users"],
        (await EventStore(readonly_db.services).position()).mark,
    )
    chosen = filters(field) if field != "role" else [{"role": {"name": item["x"]}} for item in filters("x")]
    queries = [
        reader.plan(parser._parse_query(access, {"fields": ["id", "first_name"], "filter": chosen_filter}), access)
        for chosen_filter in chosen
    ]
    whole = [(await reader.read_all(query, mark))[0] for query in queries]
    keys = sorted({row[ROW_KEY] for rows in whole for row in rows})
    assert keys

    groups = defaultdict(list)
    for query, rows in zip(queries, whole, strict=True):
        groups[query.shape.batch].append((query, rows))
    for group in groups.values():
        shared, _ = await reader.read([query for query, _ in group], keys, mark)
        by_key = [sorted(rows, key=lambda row: row[ROW_KEY]) for rows in shared]
        assert by_key == [sorted(rows, key=lambda row: row[ROW_KEY]) for _, rows in group]
    assert len(groups) < len(queries)
