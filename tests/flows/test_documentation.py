"""Every account example in Directus' documentation of the users API works verbatim.

Its placeholder `eyJh...KmUk` is replaced by the token of a mailed link. Its one-time passwords match its secret at
certain times, which were searched for, so that the tests only have to set the clock.
"""

import re
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from sqlalchemy import update

from app.core.caller import SYSTEM
from app.core.clock import utc_now
from app.core.email_links import EmailLink, LinkPurpose, sign_link_token
from app.db.models import User
from tests.base_data import cheap_hash, static_token, uid
from tests.conftest import RECORDINGS
from tests.flows.inviters import SETTINGS_OVERRIDES
from tests.http.test_graphql import ADA, bearer, served
from tests.writes.test_documentation import PAGES, ROLE_ID, Example, balanced_prefix, graphql_examples

OTHER_EMAIL, PASSWORD, SECRET = "another@example.com", "d1r3ctu5", "3CTIUTSNBMY3SZHE"
TOKEN = re.compile(r"eyJh\.\.\.KmUk")
TIME_OF_CODE = {"123456": 1_811_416_950, "591763": 1_808_480_400, "859014": 1_805_224_470}
"""Unix times at which the documentation's one-time passwords are valid."""
REQUEST = re.compile(r"^(?://\s*)?(GET|POST) (/users/(?:invite|register|me/tfa)\S*)\n", re.MULTILINE)


def requests(page, text):
    for match in REQUEST.finditer(text):
        rest = text[match.end() :].lstrip()
        body = balanced_prefix(rest) if match[1] == "POST" and rest[:1] == "{" else ""
        try:
            orjson.loads(body or "{}")
        except orjson.JSONDecodeError:
            continue  # a description of the body's types, not an example
        if body or (match[1] == "GET" and TOKEN.search(match[2])):
            yield Example(page, match[1], match[2], body)


def examples():
    for page in PAGES:
        file = RECORDINGS / "reference" / page
        if file.exists():
            text = file.read_text()
            yield from graphql_examples(page, text, flows=True)
            yield from requests(page, text)


EXAMPLES = list(dict.fromkeys(examples()))


def example_id(example):
    return f"{example.page[10:13]}-{example.method}-{example.path[:30]}-{' '.join(example.body.split())[:40]}"


async def create_linked_user(system, status):
    """Create the user that the examples mention, and return the token of a link mailed to this user."""
    await system.directory(SYSTEM)["users"].create_one({"email": OTHER_EMAIL, "status": status})
    purpose = LinkPurpose.INVITATION if status == "invited" else LinkPurpose.REGISTRATION
    secret = system.settings.secret.get_secret_value()
    return sign_link_token(secret, EmailLink(purpose, OTHER_EMAIL), timedelta(days=1), utc_now())


async def prepare(system, example):
    """Create what an example assumes, and return the token it uses."""
    request = example.path + example.body
    if "accept" in request:
        return await create_linked_user(system, "invited")
    if "verif" in request:
        return await create_linked_user(system, "unverified")
    tfa = SECRET if "disable" in request else None
    values = {"password": cheap_hash(PASSWORD), "tfa_secret": tfa}
    async with system.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("vi")).values(**values))
    await system.directory(SYSTEM)["settings"].upsert_singleton({"public_registration": True})
    await system.directory(SYSTEM)["roles"].create_one({"id": ROLE_ID, "name": "Public"})
    return ""


def clock_of(example):
    """Return a clock at which the one-time password of an example is valid; the system clock if it has none."""
    timestamp = next((time for code, time in TIME_OF_CODE.items() if code in example.body), None)
    return utc_now if timestamp is None else lambda: datetime.fromtimestamp(timestamp, UTC)


def test_the_examples_are_extracted_from_the_documentation(recordings):
    paths = {page: sorted({example.path for example in EXAMPLES if example.page == page}) for page in PAGES}
    invite_paths = ["/users/invite", "/users/invite/accept"]
    tfa_paths = [f"/users/me/tfa/{action}" for action in ("disable", "enable", "generate")]

    assert paths[PAGES[0]] == ["/graphql/system", *invite_paths, *tfa_paths]
    assert {"/graphql/system", "/users/register", *invite_paths, *tfa_paths} < set(paths[PAGES[1]])
    assert len(EXAMPLES) >= 22


@pytest.mark.parametrize("example", EXAMPLES, ids=example_id)
async def test_an_example_succeeds(inviters, example):
    token = await prepare(inviters, example)
    path, body = (TOKEN.sub(token, text) for text in (example.path, example.body))
    if path == "/graphql/system":
        body = orjson.dumps({"query": body}).decode()
    is_about_self = "tfa" in example.path + example.body
    headers = (bearer(static_token("vi")) if is_about_self else ADA) | {"content-type": "application/json"}
    settings = inviters.settings.model_copy(update=SETTINGS_OVERRIDES)
    async with served(settings, clock_of(example)) as client:
        response = await client.request(example.method, path, content=body or None, headers=headers)

    assert response.status_code in (200, 204, 302), response.text
    assert "errors" not in response.text
