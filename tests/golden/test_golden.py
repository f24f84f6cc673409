"""Golden triples: a query, its answer on both databases, and the SQL it is on PostgreSQL; `make golden` writes them.

The first line of a query says who asks and how many statements that takes: one for each root field.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.world import caller

HERE = Path(__file__).parent
HEADER = re.compile(r"# (\w+), (\d+) statements?\n")
QUERIES = sorted(path.stem for path in HERE.glob("*.graphql"))


def recorded(system, into):
    run = system.database.reader.fetch_one

    async def listen(statement, *given):
        into.append(statement)
        return await run(statement, *given)

    return listen


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.counting
async def test_the_answer_and_the_statements_are_the_golden_ones(readonly_db, name, request, monkeypatch):
    query = (HERE / f"{name}.graphql").read_text()
    who, count = HEADER.findall(query)[0]
    asking = caller(None if who == "public" else who)
    await readonly_db.services.access_cache.reload(asking)
    statements: list[Any] = []
    monkeypatch.setattr(readonly_db.database.reader, "fetch_one", recorded(readonly_db, statements))

    result = await readonly_db.execute(query, caller=asking)
    told = json.dumps({"data": result.data, "errors": [e.message for e in result.errors or []]}, indent=2) + "\n"
    sql = "\n;\n\n".join(statement.text for statement in statements) + "\n"
    if request.config.getoption("--write-golden"):
        (HERE / f"{name}.json").write_text(told)
        if readonly_db.database.dialect == "postgresql":
            (HERE / f"{name}.sql").write_text(sql)

    assert len(statements) == int(count)
    assert told == (HERE / f"{name}.json").read_text()
    if readonly_db.database.dialect == "postgresql":
        assert sql == (HERE / f"{name}.sql").read_text()
