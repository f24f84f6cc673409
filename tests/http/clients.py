"""How people of the house show who they are over HTTP, and what they are answered."""

from sqlalchemy import func, select

from tests.flows.clock import FrozenClock
from tests.world import cheap_hash

PASSWORD = "correct, but only here"
HASHED = cheap_hash(PASSWORD)
SECRET = "JBSWY3DPEHPK3PXP"  # as long as Directus makes them
SESSION, TO_REFRESH = "directus_session_token", "directus_refresh_token"
BAD = 400, "INVALID_PAYLOAD"
NOWHERE = 404, "ROUTE_NOT_FOUND"
NOBODY = 401, "INVALID_CREDENTIALS"
FORBIDDEN = 403, "FORBIDDEN"


def code(secret=SECRET):
    """What an authenticator shows at this moment."""
    return FrozenClock().code(secret)


async def send(client, method, path, body=None, cookies=None, headers=None, **options):
    """An answer; only the cookies named go along, whatever came before."""
    client.cookies.clear()
    sent = {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}
    given = {"json": body} if body is not None else {}
    return await client.request(method, path, headers={**sent, **(headers or {})}, **given, **options)


def login(client, email="vi@example.com", password=PASSWORD, headers=None, cookies=None, **more):
    body = {"email": email, "password": password, **more}
    return send(client, "POST", "/auth/login", body, cookies, headers)


def told(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def refusal(answer):
    """The status and the code of an answer's only error."""
    (error,) = answer.json()["errors"]
    return answer.status_code, error["extensions"]["code"]


def reason(answer):
    """What was wrong with a payload."""
    assert refusal(answer) == BAD, answer.text
    return answer.json()["errors"][0]["extensions"]["reason"]


def handed(answer):
    """The cookies that an answer sets: their value and their flags."""
    lines = [line.partition("; ") for line in answer.headers.get_list("set-cookie")]
    return {name: (value, flags) for pair, _, flags in lines for name, value in [pair.split("=", 1)]}


def the_cookie(answer):
    """The only one, to be sent again."""
    ((name, (value, _)),) = handed(answer).items()
    return {name: value}


async def count(system, what):
    async with system.database.transaction() as connection:
        return await connection.scalar(select(func.count()).select_from(what))
