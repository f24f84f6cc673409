"""Invalid credentials are reported before anything that is wrong with the rest of the request, at every endpoint."""

import pytest
from sqlalchemy import update

from app.db.models import User
from tests.base_data import static_token, uid
from tests.http.clients import FORBIDDEN, INVALID_CREDENTIALS, INVALID_PAYLOAD, error_of, send
from tests.http.test_graphql import PATH, bearer

JSON = {"content-type": "application/json"}
FORM = {"content-type": "multipart/form-data; boundary=x"}
EMPTY_OBJECT, EMPTY_LIST, BROKEN = b"{}", b"[]", b"{broken"

REQUESTS = [
    ("GET", "/users?limit=abc", b"", {}),
    ("GET", "/users?limit=0", b"", {}),
    ("GET", "/users?filter={broken", b"", {}),
    ("GET", "/users?filter[a[b]=1", b"", {}),
    ("GET", "/users?export=nothing", b"", {}),
    ("GET", "/users/nonsense?fields=nothing", b"", {}),
    ("GET", "/users/nothing/nothing", b"", {}),
    ("SEARCH", "/users", BROKEN, JSON),
    ("SEARCH", "/users", b'{"keys": []}', JSON),
    ("POST", "/users", BROKEN, JSON),
    ("POST", "/users", EMPTY_OBJECT, {"content-type": "text/plain"}),
    ("POST", "/users", EMPTY_LIST, JSON),
    ("PATCH", "/users", EMPTY_OBJECT, JSON),
    ("PATCH", "/users/nonsense", BROKEN, JSON),
    ("DELETE", "/users", EMPTY_LIST, JSON),
    ("DELETE", "/users/nonsense", b"", {}),
    ("PATCH", "/users/me/track/page", EMPTY_OBJECT, JSON),
    ("POST", "/users/me/tfa/generate", BROKEN, JSON),
    ("POST", "/users/nonsense/tfa/disable", BROKEN, JSON),
    ("PATCH", "/settings", BROKEN, JSON),
    ("GET", "/permissions/me/no_such_collection/1", b"", {}),
    ("POST", "/files", b"x", {"content-type": "multipart/form-data"}),
    ("POST", "/files", b"x", FORM),
    ("PATCH", "/files/nonsense", b"x", FORM),
    ("POST", "/files/import", EMPTY_OBJECT, JSON),
    ("GET", "/assets/nonsense", b"", {}),
    ("POST", "/auth/login", BROKEN, JSON),
    ("POST", "/auth/refresh", EMPTY_OBJECT, JSON),
    ("POST", "/users/register", EMPTY_OBJECT, JSON),
    ("POST", "/users/invite", EMPTY_OBJECT, JSON),
    ("GET", "/users/register/verify-email", b"", {}),
    ("GET", "/utils/random/string?length=x", b"", {}),
    ("GET", "/utils/random/string", b"", {}),
    ("POST", PATH, BROKEN, JSON),
    ("POST", PATH, EMPTY_OBJECT, JSON),
    ("POST", PATH, EMPTY_OBJECT, {"content-type": "text/plain"}),
    ("POST", PATH, b'{"query": "{"}', JSON),
    ("POST", PATH, b'{"query": "{ server_ping }"}', JSON),
    ("GET", PATH, b"", {}),
    ("PUT", PATH, b"", {}),
]


@pytest.mark.parametrize(("method", "path", "content", "headers"), REQUESTS)
async def test_an_unknown_token_is_rejected_first(client, method, path, content, headers):
    response = await send(client, method, path, content=content, headers={**headers, **bearer("nobodys-token")})

    assert error_of(response) == INVALID_CREDENTIALS


@pytest.mark.both_databases
async def test_a_revoked_token_is_rejected_first_although_its_access_is_cached(client, members):
    headers = bearer(static_token("vi"))
    for path in ("/users?limit=1", "/utils/random/string", "/users/me"):
        assert (await send(client, "GET", path, headers=headers)).status_code == 200
    async with members.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("vi")).values(status="suspended"))

    for method, path, content, media in REQUESTS:
        response = await send(client, method, path, content=content, headers={**media, **headers})
        assert error_of(response) == INVALID_CREDENTIALS, (method, path)


async def test_other_callers_receive_what_is_wrong_with_the_request(client):
    for headers in (JSON, JSON | bearer(static_token("vi"))):
        response = await send(client, "POST", "/users", content=BROKEN, headers=headers)
        assert error_of(response) == INVALID_PAYLOAD
    assert error_of(await send(client, "GET", "/permissions/me")) == FORBIDDEN
