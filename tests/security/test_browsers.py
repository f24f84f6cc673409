"""The published holes of pages of elsewhere, and of files that are taken home."""

import pytest
import pytest_asyncio

from tests.http.test_graphql import ADA, PATH, served
from tests.world import static_token

ELSEWHERE = {"Origin": "https://elsewhere.example.com"}
KINDS = ["csv", "json", "xml", "yaml"]


@pytest_asyncio.fixture(scope="session")
async def client(readonly_db):
    async with served(readonly_db.settings) as client:
        yield client


@pytest.mark.parametrize("path", ["/users", "/server/info", "/auth", PATH, "/nowhere"])
async def test_cve_2022_26969_no_page_of_elsewhere_is_let_in_unless_it_is_listed(client, path):
    before = {**ELSEWHERE, "Access-Control-Request-Method": "GET"}
    answers = [await client.get(path, headers={**ADA, **ELSEWHERE}), await client.options(path, headers=before)]

    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_cve_2022_26969_letting_all_of_them_in_lets_no_cookie_in(readonly_db):
    changed = {"cors_enabled": True, "cors_origin": True, "cors_credentials": True}
    async with served(readonly_db.settings.model_copy(update=changed)) as client:
        answer = await client.get("/users", headers={**ADA, **ELSEWHERE})

    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("field", ["password", "token", "tfa_secret", "auth_data"])
async def test_cve_2023_27481_a_file_tells_of_secrets_that_they_are_there_and_nothing_else(client, kind, field):
    told = await client.get(f"/users?fields=email,{field}&limit=-1&export={kind}", headers=ADA)
    asked = await client.get(f"/users?filter[{field}][_starts_with]=s&export={kind}", headers=ADA)
    renamed = await client.get(f'/users?alias={{"x":"{field}"}}&fields=x&limit=-1&export={kind}', headers=ADA)

    for answer in (told, renamed):
        assert answer.status_code == 200
        assert "**********" in answer.text
        assert not [
            secret for secret in ("$argon2id", "NOTASECRET", "hidden", static_token("")) if secret in answer.text
        ]
    assert asked.status_code == 400
    assert "content-disposition" not in asked.headers
