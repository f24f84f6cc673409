"""Requests as a user of the `members` fixture, and what their responses contain."""

import time

from sqlalchemy import func, select

from tests.base_data import cheap_hash
from tests.flows.clock import FrozenClock

PASSWORD = "correct, but only here"
PASSWORD_HASH = cheap_hash(PASSWORD)
SECRET = "JBSWY3DPEHPK3PXP"  # as long as Directus makes them
SESSION, REFRESH = "directus_session_token", "directus_refresh_token"
TOTP_PERIOD_SECONDS = 30
INVALID_PAYLOAD = 400, "INVALID_PAYLOAD"
ROUTE_NOT_FOUND = 404, "ROUTE_NOT_FOUND"
INVALID_CREDENTIALS = 401, "INVALID_CREDENTIALS"
FORBIDDEN = 403, "FORBIDDEN"


def totp_code(secret=SECRET):
    """Return the current code of an authenticator, which is valid for another second at least."""
    remaining = TOTP_PERIOD_SECONDS - time.time() % TOTP_PERIOD_SECONDS
    if remaining < 1:
        time.sleep(remaining)
    return FrozenClock().code(secret)


async def send(client, method, path, body=None, cookies=None, headers=None, **options):
    """Return the response to a request with exactly these cookies, whatever the client received before."""
    client.cookies.clear()
    cookie = {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}
    json = {"json": body} if body is not None else {}
    return await client.request(method, path, headers={**cookie, **(headers or {})}, **json, **options)


def login(client, email="vi@example.com", password=PASSWORD, headers=None, cookies=None, **more):
    body = {"email": email, "password": password, **more}
    return send(client, "POST", "/auth/login", body, cookies, headers)


def data_of(response):
    assert response.status_code == 200, response.text
    return response.json()["data"]


def error_of(response):
    """Return the status and the code of a response's only error."""
    (error,) = response.json()["errors"]
    return response.status_code, error["extensions"]["code"]


def reason_of(response):
    """Return the reason of an InvalidPayload response."""
    assert error_of(response) == INVALID_PAYLOAD, response.text
    return response.json()["errors"][0]["extensions"]["reason"]


def cookies_of(response):
    """Return the cookies that a response sets: value and attributes by name."""
    lines = [line.partition("; ") for line in response.headers.get_list("set-cookie")]
    return {name: (value, attributes) for pair, _, attributes in lines for name, value in [pair.split("=", 1)]}


def cookie_of(response):
    """Return the only cookie that a response sets, as `send` takes it."""
    ((name, (value, _)),) = cookies_of(response).items()
    return {name: value}


async def count_rows(system, table):
    async with system.database.transaction() as connection:
        return await connection.scalar(select(func.count()).select_from(table))
