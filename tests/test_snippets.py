"""What the README shows of the repositories, run as it stands there."""

import ast
import re
from inspect import CO_COROUTINE
from pathlib import Path
from typing import Any

from app.core.caller import SYSTEM
from tests.world import uid

README = Path(__file__).parents[1] / "README.md"


async def test_the_snippets_of_the_readme_do_what_they_say(fresh, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", fresh.settings.database_url)
    page = README.read_text().partition("## From Python")[2].partition("\n## ")[0]
    snippets = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    seen: dict[str, Any] = {}
    for snippet in snippets:
        code = compile(snippet, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        told = eval(code, seen)
        if code.co_flags & CO_COROUTINE:
            await told

    assert len(snippets) == 7
    assert seen["ada"]["id"] == uid("ada")
    assert seen["seen"] == [{"id": seen["ina"], "title": "CTO"}]
    roles = await fresh.directory(SYSTEM)["roles"].read_by_query(
        {"filter": {"name": {"_eq": "Interns"}}, "fields": ["icon", "policies.policy.app_access"]}
    )
    assert roles == [{"icon": "verified_user", "policies": [{"policy": {"app_access": True}}]}]
    assert await fresh.directory(SYSTEM)["users"].get_user_by_email("ina@example.com") is None
