"""Golden files: a query, its answer on both databases, and its SQL on PostgreSQL; `make golden` writes them.

The first line of a query names the caller and the number of statements: one for each root field.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.base_data import caller

HERE = Path(__file__).parent
HEADER = re.compile(r"# (\w+), (\d+) statements?\n")
QUERIES = sorted(path.stem for path in HERE.glob("*.graphql"))


def recording(fetch_one, statements):
    """Return a `fetch_one` that appends each statement to `statements` before it runs."""

    async def record(statement, *bindings):
        statements.append(statement)
        return await fetch_one(statement, *bindings)

    return record


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.counting
async def test_the_answer_and_the_statements_match_the_golden_files(readonly_db, name, request, monkeypatch):
    query = (HERE / f"{name}.graphql").read_text()
    user, count = HEADER.findall(query)[0]
    query_caller = caller(None if user == "public" else user)
    await readonly_db.services.access_cache.reload(query_caller)
    statements: list[Any] = []
    reader = readonly_db.database.reader
    monkeypatch.setattr(reader, "fetch_one", recording(reader.fetch_one, statements))

    result = await readonly_db.execute(query, caller=query_caller)
    errors = [error.message for error in result.errors or []]
    answer = json.dumps({"data": result.data, "errors": errors}, indent=2) + "\n"
    sql = "\n;\n\n".join(statement.text for statement in statements) + "\n"
    if request.config.getoption("--write-golden"):
        (HERE / f"{name}.json").write_text(answer)
        if readonly_db.database.dialect == "postgresql":
            (HERE / f"{name}.sql").write_text(sql)

    assert len(statements) == int(count)
    assert answer == (HERE / f"{name}.json").read_text()
    if readonly_db.database.dialect == "postgresql":
        assert sql == (HERE / f"{name}.sql").read_text()
