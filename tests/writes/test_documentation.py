"""Every example of the documented users API that reads or writes items succeeds as printed."""

import re
from typing import NamedTuple

import orjson
import pytest
import pytest_asyncio
from sqlalchemy import select, update

from app.core.caller import SYSTEM
from app.db.models import Role, User
from tests.conftest import RECORDINGS
from tests.http.test_graphql import ADA

pytestmark = pytest.mark.one_database

PAGES = ("users-api-v10.md", "users-api-v11.txt")
FLOW_PATTERN = re.compile(r"users_(invite|register|me_tfa)|/users/(invi|register|me/tfa)")
REQUEST_PATTERN = re.compile(r"(?://\s*)?(GET|SEARCH|POST|PATCH|DELETE) (/users\S*)\n|// Request\n()()", re.MULTILINE)
ROLE_ID = "c86c2761-65d3-43c3-897f-6f74ad6a5bd7"
USER_IDS = [
    "72a1ce24-4748-47de-a05f-ce9af3033727",
    "9c3d75a8-7a5f-41a4-be0a-1488fd974511",
    "653925a9-970e-487a-bfc0-ab6c96affcdc",
    ROLE_ID,
]


class Example(NamedTuple):
    """One request of the documentation."""

    page: str
    method: str
    path: str
    body: str


def balanced_prefix(text):
    """Return the text up to the end of its first balanced pair of brackets."""
    depth = 0
    for i, character in enumerate(text):
        depth += (character in "{[") - (character in "}]")
        if not depth and character in "}]":
            return text[: i + 1]
    return ""


def graphql_examples(page, text, *, flows=False):
    for match in re.finditer(r"^(query|mutation) \{", text, re.MULTILINE):
        document = balanced_prefix(text[match.start() :])
        if bool(FLOW_PATTERN.search(document)) is flows:
            yield Example(page, "POST", "/graphql/system", document)


def rest_examples(page, text):
    for match in REQUEST_PATTERN.finditer(text):
        method, path = (match[1], match[2]) if match[1] else ("DELETE", "/users")
        rest = text[match.end() :].lstrip()
        body = balanced_prefix(rest) if rest[:1] in "{[" else ""
        is_complete = method in ("GET", "SEARCH") or body or re.search(r"/[0-9a-f-]{36}$", path)
        if is_complete and ":id" not in path and "_id" not in body and not FLOW_PATTERN.match(path):
            yield Example(page, method, path, body)


def examples():
    for page in PAGES:
        file = RECORDINGS / "reference" / page
        if file.exists():
            yield from (*graphql_examples(page, file.read_text()), *rest_examples(page, file.read_text()))


EXAMPLES = list(dict.fromkeys(examples()))


def example_id(example):
    return f"{example.page[10:13]}-{example.method}-{example.path[:12]}-{' '.join(example.body.split())[:60]}"


@pytest_asyncio.fixture
async def members(editors):
    """The users and the role that the documentation refers to."""
    async with editors.database.transaction() as connection:
        await connection.execute(
            update(User).where(User.email == "admin@example.com").values(email="first@example.com")
        )
    roles = editors.directory(SYSTEM)["roles"]
    await roles.create_one({"id": ROLE_ID, "name": "Public"})
    await editors.directory(SYSTEM)["users"].create_many(
        [{"id": key, "email": f"x{i}@example.com", "first_name": "X"} for i, key in enumerate(USER_IDS)]
    )
    return editors


def test_the_documentation_contains_the_expected_examples(recordings):
    for page in PAGES:
        paths = [example.path for example in EXAMPLES if example.page == page]
        assert (paths.count("/graphql/system"), len(paths)) == (10, 21)


@pytest.mark.parametrize("example", EXAMPLES, ids=example_id)
async def test_an_example_succeeds(client, members, example):
    body = example.body
    if example.path == "/graphql/system":
        body = orjson.dumps({"query": body}).decode()
    headers = ADA | {"content-type": "application/json"}
    response = await client.request(example.method, example.path, content=body, headers=headers)

    assert response.status_code in (200, 204), response.text
    assert "errors" not in response.text
    if "role" in example.body and response.status_code == 200:
        assert ROLE_ID in response.text
    async with members.database.transaction() as connection:
        assert (await connection.execute(select(Role.name).where(Role.id == ROLE_ID))).scalar() == "Public"
