"""Every example of the users API's documentation that is about an account is answered, pasted as it stands.

What it calls `eyJh...KmUk` is a token such as is mailed; its one-time passwords are those of its secret at a moment
that was looked for, so that only the clock is set.
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
from tests.conftest import RECORDINGS
from tests.flows.inviters import SETTINGS_OVERRIDES
from tests.http.test_graphql import ADA, bearer, served
from tests.world import cheap_hash, static_token, uid
from tests.writes.test_documentation import PAGES, ROLE_ID, Example, balanced_prefix, graphql_examples

ANOTHER, PASSWORD, SECRET = "another@example.com", "d1r3ctu5", "3CTIUTSNBMY3SZHE"
TOKEN = re.compile(r"eyJh\.\.\.KmUk")
WHEN = {"123456": 1_811_416_950, "591763": 1_808_480_400, "859014": 1_805_224_470}
"""Moments, in Unix time, whose codes are those of the documentation."""
REQUEST = re.compile(r"^(?://\s*)?(GET|POST) (/users/(?:invite|register|me/tfa)\S*)\n", re.MULTILINE)


def requests(page, text):
    for found in REQUEST.finditer(text):
        after = text[found.end() :].lstrip()
        body = balanced_prefix(after) if found[1] == "POST" and after[:1] == "{" else ""
        try:
            orjson.loads(body or "{}")
        except orjson.JSONDecodeError:
            continue  # it says what kind of value goes where
        if body or (found[1] == "GET" and TOKEN.search(found[2])):
            yield Example(page, found[1], found[2], body)


def examples():
    for page in PAGES:
        file = RECORDINGS / "reference" / page
        if file.exists():
            text = file.read_text()
            yield from graphql_examples(page, text, flows=True)
            yield from requests(page, text)


EXAMPLES = list(dict.fromkeys(examples()))


def name(example):
    return f"{example.page[10:13]}-{example.method}-{example.path[:30]}-{' '.join(example.body.split())[:40]}"


async def somebody(system, status):
    """The other of the documentation's examples, and the token that was sent to them."""
    made = {"email": ANOTHER, "status": status}
    await system.directory(SYSTEM)["users"].create_one(made)
    purpose = LinkPurpose.INVITATION if status == "invited" else LinkPurpose.REGISTRATION
    secret = system.settings.secret.get_secret_value()
    return sign_link_token(secret, EmailLink(purpose, ANOTHER), timedelta(days=1), utc_now())


async def staged(system, example):
    """Has happened what an example takes for granted; the token it speaks of."""
    asked = example.path + example.body
    if "accept" in asked:
        return await somebody(system, "invited")
    if "verif" in asked:
        return await somebody(system, "unverified")
    tfa = SECRET if "disable" in asked else None
    mine = {"password": cheap_hash(PASSWORD), "tfa_secret": tfa}
    async with system.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("vi")).values(**mine))
    await system.directory(SYSTEM)["settings"].upsert_singleton({"public_registration": True})
    await system.directory(SYSTEM)["roles"].create_one({"id": ROLE_ID, "name": "Public"})
    return ""


def clock_of(example):
    """The moment at which a one-time password of an example is good; now, where there is none."""
    moment = next((moment for code, moment in WHEN.items() if code in example.body), None)
    return utc_now if moment is None else lambda: datetime.fromtimestamp(moment, UTC)


def test_the_examples_are_extracted_from_the_documentation(recordings):
    told = {page: sorted({one.path for one in EXAMPLES if one.page == page}) for page in PAGES}
    theirs = ["/users/invite", "/users/invite/accept"]
    factors = [f"/users/me/tfa/{what}" for what in ("disable", "enable", "generate")]

    assert told[PAGES[0]] == ["/graphql/system", *theirs, *factors]
    assert {"/graphql/system", "/users/register", *theirs, *factors} < set(told[PAGES[1]])
    assert len(EXAMPLES) >= 22


@pytest.mark.parametrize("example", EXAMPLES, ids=name)
async def test_an_example_succeeds(inviters, example):
    token = await staged(inviters, example)
    path, body = (TOKEN.sub(token, text) for text in (example.path, example.body))
    if path == "/graphql/system":
        body = orjson.dumps({"query": body}).decode()
    own = "tfa" in example.path + example.body
    headers = (bearer(static_token("vi")) if own else ADA) | {"content-type": "application/json"}
    settings = inviters.settings.model_copy(update=SETTINGS_OVERRIDES)
    async with served(settings, clock_of(example)) as client:
        answer = await client.request(example.method, path, content=body or None, headers=headers)

    assert answer.status_code in (200, 204, 302), answer.text
    assert "errors" not in answer.text
