"""Known vulnerabilities through cross-origin requests and through exported files."""

import pytest
import pytest_asyncio

from tests.base_data import static_token
from tests.http.test_graphql import ADA, PATH, served

CROSS_ORIGIN = {"Origin": "https://elsewhere.example.com"}
EXPORT_FORMATS = ["csv", "json", "xml", "yaml"]


@pytest_asyncio.fixture(scope="module")
async def client(readonly_db):
    async with served(readonly_db.settings) as client:
        yield client


@pytest.mark.parametrize("path", ["/users", "/server/info", "/auth", PATH, "/nowhere"])
async def test_cve_2022_26969_no_cors_headers_unless_the_origin_is_allowed(client, path):
    preflight = {**CROSS_ORIGIN, "Access-Control-Request-Method": "GET"}
    responses = [await client.get(path, headers={**ADA, **CROSS_ORIGIN}), await client.options(path, headers=preflight)]

    for response in responses:
        assert not [name for name in response.headers if name.startswith("access-control")]


async def test_cve_2022_26969_allowing_every_origin_allows_no_credentials(readonly_db):
    overrides = {"cors_enabled": True, "cors_origin": True, "cors_credentials": True}
    async with served(readonly_db.settings.model_copy(update=overrides)) as client:
        response = await client.get("/users", headers={**ADA, **CROSS_ORIGIN})

    assert response.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize("format_", EXPORT_FORMATS)
@pytest.mark.parametrize("field", ["password", "token", "tfa_secret", "auth_data"])
async def test_cve_2023_27481_exports_contain_only_masks_of_concealed_fields(client, format_, field):
    plain = await client.get(f"/users?fields=email,{field}&limit=-1&export={format_}", headers=ADA)
    filtered = await client.get(f"/users?filter[{field}][_starts_with]=s&export={format_}", headers=ADA)
    aliased = await client.get(f'/users?alias={{"x":"{field}"}}&fields=x&limit=-1&export={format_}', headers=ADA)

    for response in (plain, aliased):
        assert response.status_code == 200
        assert "**********" in response.text
        assert not [
            secret for secret in ("$argon2id", "NOTASECRET", "hidden", static_token("")) if secret in response.text
        ]
    assert filtered.status_code == 400
    assert "content-disposition" not in filtered.headers
