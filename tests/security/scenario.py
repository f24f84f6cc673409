"""Everything that handles secrets, done to a monitored server: successful flows, failing ones, and malformed input."""

import asyncio
import time
from contextlib import suppress
from itertools import cycle
from urllib.parse import quote

import pyotp

from app.core.api_tokens import hash_api_token
from tests.base_data import static_token, uid
from tests.flows.clock import ShortSecretTOTP
from tests.http.clients import REFRESH, SESSION, cookies_of, send
from tests.http.test_graphql import bearer
from tests.security.entry_points import (
    ENTRY_POINTS,
    GRAPHQL_PATH,
    PASSWORD,
    PASSWORD_HASH,
    error_code,
    get_me,
    response_data,
)
from tests.security.leak_detector import MAX_LOGIN_ATTEMPTS, MAX_PAYLOAD_BYTES, PUBLIC_URL

ADA, VI, ED = (bearer(static_token(name)) for name in ("ada", "vi", "ed"))
JSON, PLAIN_TEXT = {"content-type": "application/json"}, {"content-type": "text/plain"}
MISSING_TABLES = (
    ("directus_settings",),
    ("directus_sessions", "rollcall_outbox"),
    ("directus_users", "rollcall_attempts"),
)
MALFORMED_BODIES = (
    lambda secret: f'{{"password": "{secret}"',
    lambda secret: f'{{"password": "{secret}\\ud800"}}',
    lambda secret: f'{{"email": {{"x": "{secret}"}}, "password": ["{secret}"], "{secret}": 1}}',
    lambda secret: f'["{secret}"]',
    lambda secret: f'"{secret}"',
    lambda secret: secret,
    lambda secret: f'{{"query": "mutation {{ auth_login(email: \\"a@b.c\\", password: \\"{secret}\\" }}"}}',
    lambda secret: f'{{"query": "mutation {{ auth_login(pass: \\"{secret}\\") {{ expires }} }}"}}',
    lambda secret: (
        '{"query": "mutation($p: Int) { auth_login(email: \\"\\", password: $p) { expires } }", "variables": '
        f'{{"p": "{secret}"}}}}'
    ),
    lambda secret: f'{{"query": "{{ users_by_id(id: \\"{secret}\\") {{ id }} }}", "operationName": "{secret}"}}',
    lambda secret: f'{{"password": "{secret}", "more": "{"x" * MAX_PAYLOAD_BYTES}"}}',
)


async def run_scenario(server):
    """Run all steps, and wait until the log says that a mail failed."""
    steps = [step(server, each) for step in (run_account_lifecycle, send_failing_requests) for each in ENTRY_POINTS]
    await asyncio.gather(*steps, send_malformed_requests(server))
    await send_invalid_http(server)
    await queue_mails(server)
    for tables in MISSING_TABLES:
        await run_without_tables(server, *tables)
    if server.system.database.dialect == "postgresql":
        await violate_check_constraints(server)
    async with asyncio.timeout(10):
        while "mail_failed" not in server.log:  # noqa: ASYNC110 - the log cannot be awaited
            await asyncio.sleep(0.05)


async def current_otp(server, secret):
    """Return the current one-time password, with at least two seconds left before it expires."""
    seconds_left = 30 - time.time() % 30
    await asyncio.sleep(seconds_left if seconds_left < 2 else 0)
    return server.secrets.register_code(ShortSecretTOTP(secret).now())


async def run_account_lifecycle(server, entry_point):
    """Use an account from its invitation to the end of its sessions, and register another."""
    secrets, call = server.secrets, server.call
    email, password, role = (
        secrets.new_email("an invited address"),
        secrets.new_secret("a first password"),
        uid("role-Writer"),
    )
    assert error_code(await call(entry_point, "invite", email=email, role=role, headers=ADA)) is None
    token = await server.link_token(email)
    assert error_code(await call(entry_point, "accept", token=token, password=password)) is None
    credentials = {"email": email, "password": password}
    headers = bearer(response_data(await call(entry_point, "login", **credentials))["access_token"])
    secret = response_data(await call(entry_point, "generate", password=password, headers=headers))["secret"]
    otp = await current_otp(server, secret)
    assert error_code(await call(entry_point, "enable", otp=otp, secret=secret, headers=headers)) is None
    recovery_codes = response_data(await call(entry_point, "recovery", otp=otp, headers=headers))
    for recovery_code in recovery_codes:
        secrets.register("a recovery code", recovery_code)
    await call(entry_point, "login", **credentials, otp=otp)
    await call(entry_point, "login", **credentials, otp=otp)  # replayed
    for mode, name in (("cookie", REFRESH), ("session", SESSION)):
        response = await call(entry_point, "login", **credentials, mode=mode, otp=recovery_codes.pop())
        cookie = {name: cookies_of(response)[name][0]}
        await get_me(server.client, entry_point, cookies=cookie)
        response = await call(entry_point, "refresh", mode=mode, cookies=cookie)
        await call(entry_point, "logout", mode=mode, cookies={name: cookies_of(response)[name][0]})
    response = await call(entry_point, "login", **credentials, otp=recovery_codes.pop())
    response = await call(entry_point, "refresh", refresh_token=response_data(response)["refresh_token"], mode="json")
    headers = bearer(response_data(response)["access_token"])
    await call(entry_point, "disable", otp=recovery_codes.pop(), headers=headers)
    await send(server.client, "GET", f"/users/me?access_token={response_data(response)['access_token']}")
    await server.update_user(headers, password=secrets.new_secret("a second password"))
    await call(entry_point, "request", email=email, reset_url=f"{PUBLIC_URL}/reset")
    assert (
        error_code(
            await call(
                entry_point, "reset", token=await server.link_token(email), password=secrets.new_secret("a third")
            )
        )
        is None
    )
    await call(entry_point, "logout", refresh_token=response_data(response)["refresh_token"])
    users = await send(server.client, "GET", f"/users?filter[email][_eq]={email}", headers=ADA)
    user_id = users.json()["data"][0]["id"]
    await server.update_user(ADA, user_id, token=secrets.new_token("a static token"))
    await use_api_token(server, user_id)

    email, password = secrets.new_email("a registered address"), secrets.new_secret("a registered password")
    await call(entry_point, "register", email=email, password=password, first_name="New")
    await call(entry_point, "verify", token=await server.link_token(email))
    await call(entry_point, "hash", string=secrets.new_secret("a text to be hashed"))
    await call(entry_point, "match", string=secrets.new_secret("a text to be compared"), hash=PASSWORD_HASH)


async def use_api_token(server, user_id):
    """Create an API token, send it in each way, and revoke it."""
    path = f"/users/{user_id}/tokens"
    created = (await send(server.client, "POST", path, {"name": "a program"}, headers=ADA)).json()["data"]
    token = server.secrets.register("an API token", created["token"])
    server.secrets.register("the hash of an API token", hash_api_token(token))
    for query, headers in (("", bearer(token)), (f"?access_token={token}", {})):
        assert (await send(server.client, "GET", f"/users/me{query}", headers=headers)).status_code == 200
    await send(server.client, "POST", "/users/me/tokens", {"name": token}, headers=bearer(token))
    await send(server.client, "POST", path, {"name": "x", "policies": [token]}, headers=ADA)
    assert (await send(server.client, "DELETE", f"{path}/{created['id']}", headers=ADA)).status_code == 204
    await send(server.client, "GET", "/users/me", headers=bearer(token))


async def queue_mails(server):
    """Queue a mail of each kind that the mail server does not accept yet, so that its row stays in the outbox."""
    entry_point, secrets = ENTRY_POINTS[0], server.secrets
    invited, registered = secrets.new_email("an invited address"), secrets.new_email("a registered address")
    for recipient in (invited, registered, "wes@example.com"):
        server.mail.rejections[recipient] = "451 4.7.1 greylisted, come back"
    url = f"{PUBLIC_URL}/reset"
    await server.call(entry_point, "invite", email=invited, role=uid("role-Writer"), headers=ADA)
    await server.call(entry_point, "register", email=registered, password=secrets.new_secret("a password"))
    await server.call(entry_point, "request", email="wes@example.com", reset_url=url)


async def send_failing_requests(server, entry_point):
    """Send requests that fail: wrong passwords, rejected addresses and URLs, forged and made-up tokens."""
    secrets = server.secrets
    unknown_email = secrets.new_email("an address that is rejected")
    server.mail.rejections[unknown_email] = f"550 5.1.1 {unknown_email} is unknown"
    await server.call(entry_point, "invite", email=unknown_email, role=uid("role-Writer"), headers=ADA)
    for email in (secrets.new_email("a stranger"), "ed@example.com"):
        await server.call(
            entry_point,
            "login",
            email=email,
            password=secrets.new_secret("a wrong password"),
            otp=secrets.register_code("918273"),
        )
    wrong_credentials = {
        "email": "wes@example.com",
        "password": secrets.new_secret("a password that is wrong again and again"),
    }
    await asyncio.gather(
        *(server.call("rest", "login", **wrong_credentials) for _ in range(MAX_LOGIN_ATTEMPTS // 2 + 1))
    )
    for flow in ("request", "register"):
        url = {"request": "reset_url", "register": "verification_url"}[flow]
        arguments = {} if flow == "request" else {"password": secrets.new_secret("a rejected password")}
        bad_url = f"https://{secrets.new_token('host')}.example.net/"
        await server.call(
            entry_point, flow, email=secrets.new_email(f"{flow} of a stranger"), **{url: bad_url}, **arguments
        )
    await server.call(
        entry_point,
        "register",
        email=f"{secrets.new_token('half')}@",
        password=secrets.new_secret("a password of an invalid registration"),
    )
    for flow in ("accept", "reset", "verify"):
        for token in (secrets.new_jwt(f"a forged link of {flow}"), secrets.new_token(f"a made-up link of {flow}")):
            arguments = {} if flow == "verify" else {"password": secrets.new_secret(f"a password with {flow}")}
            await server.call(entry_point, flow, token=token, **arguments)
    for flow in ("refresh", "logout"):
        await server.call(entry_point, flow, refresh_token=secrets.new_token("a made-up refresh token"))
        for name, mode in ((SESSION, "session"), (REFRESH, "cookie")):
            for token in (secrets.new_jwt("a forged cookie"), secrets.new_token("a made-up cookie")):
                await server.call(entry_point, flow, mode=mode, cookies={name: token})
    await server.call(entry_point, "generate", password=secrets.new_secret("not the password"), headers=VI)
    await server.call(
        entry_point, "enable", otp=secrets.register_code("564738"), secret=secrets.new_secret("no secret"), headers=VI
    )
    await server.call(
        entry_point,
        "enable",
        otp=secrets.register_code("465738"),
        secret=secrets.register("a secret", pyotp.random_base32()),
        headers=VI,
    )
    await server.call(entry_point, "match", string=secrets.new_secret("a text"), hash=secrets.new_secret("no hash"))
    for token in (secrets.new_jwt("a forged token"), secrets.new_token("a made-up token")):
        await get_me(server.client, entry_point, headers=bearer(token))
        await get_me(server.client, entry_point, cookies={SESSION: token})
        await get_me(server.client, entry_point, headers={"authorization": f"Basic {token}"})
        for path in ("/users/me", "/server/info", "/nowhere", GRAPHQL_PATH) if entry_point == "rest" else ():
            await send(server.client, "GET", f"{path}?access_token={token}", headers=VI)
            await send(server.client, "GET", f"{path}?access_token={token}")


async def send_malformed_requests(server):
    """Send bodies and parameters that cannot be parsed."""
    secrets = server.secrets
    paths = cycle(("/auth/login", "/auth/password/reset", "/users/register", "/users/me/tfa/generate", "/users"))
    headers = cycle((JSON, PLAIN_TEXT, {**JSON, **VI}))
    for make_body in MALFORMED_BODIES:
        for path in (GRAPHQL_PATH, next(paths), next(paths)):
            body = make_body(secrets.new_secret("a password in a malformed body")).encode()
            await server.client.request("POST", path, content=body, headers=next(headers))
    password = secrets.new_secret("a password by GET")
    mutation = f'mutation {{ auth_login(email: "a@b.c", password: "{password}") {{ expires }} }}'
    await server.client.get(
        GRAPHQL_PATH, params={"query": mutation, "variables": secrets.new_secret("variables that are not JSON")}
    )
    await server.client.get(
        "/users/register/verify-email", params={"token": [secrets.new_jwt("two links"), secrets.new_token("two")]}
    )
    await server.client.get(f"/users?filter={quote(secrets.new_secret('a filter that is not JSON'))}")
    await server.client.get(
        f"/users?limit={quote(secrets.new_secret('a limit'))}&sort={secrets.new_token('a sort')}", headers=ADA
    )


async def send_invalid_http(server):
    """Send what no HTTP client sends: a WebSocket handshake, an invalid request line, an endless header."""
    secrets, port = server.secrets, server.client.base_url.port
    host = "HTTP/1.1\r\nHost: x\r\n"
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n"
    incomplete_request = "POST /auth/login HTTP/1.1\r\nHost: x\r\n"
    incomplete_request += "Content-Type: application/json\r\nContent-Length: 99\r\n\r\n"
    token_header = f"Authorization: Bearer {secrets.new_token('a token beside it')}\r\n"
    for request in (
        f"GET {GRAPHQL_PATH}?access_token={secrets.new_token('a token of a WebSocket')} {host}{upgrade}\r\n",
        f"GET /users?access_token={secrets.new_token('a token of another')} {host}{token_header}{upgrade}\r\n",
        f"GET /?access_token={secrets.new_token('a token of HTTP/9')} HTTP/9.9\r\n\r\n",
        f"{secrets.new_token('a method')} / HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization Bearer {secrets.new_token('a token without a colon')}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\nCookie: {secrets.new_token('a cookie')}={'x' * 200_000}\r\n\r\n",
        f'{incomplete_request}{{"password": "{secrets.new_token("a password of half a body")}',
        f"\x16\x03\x01{secrets.new_token('a greeting of TLS')}\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request.encode("latin-1"))
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(0.1):
                await reader.read(100)
        writer.close()


async def run_without_tables(server, *tables):
    """Call both entry points while tables are renamed, and restore the tables."""
    for table in tables:
        await server.run_sql(f"ALTER TABLE {table} RENAME TO elsewhere_{table}")
    secrets = server.secrets
    secret, email = secrets.new_secret(f"a secret without {tables}"), secrets.new_email(f"an address without {tables}")
    arguments_by_flow = {
        "login": {"email": "vi@example.com", "password": PASSWORD},
        "request": {"email": "vi@example.com"},
        "register": {"email": email, "password": secret},
        "invite": {"email": email, "role": uid("role-Writer"), "headers": ADA},
        "generate": {"password": secret, "headers": VI},
        "refresh": {"refresh_token": secrets.new_token("a refresh token")},
        "accept": {"token": secrets.new_jwt("a link"), "password": secret},
        "disable": {"otp": secrets.register_code("102938"), "headers": ED},
    }
    calls = ((each, flow, arguments) for each in ENTRY_POINTS for flow, arguments in arguments_by_flow.items())
    await asyncio.gather(*(server.call(each, flow, **arguments) for each, flow, arguments in calls))
    await asyncio.gather(
        *(get_me(server.client, each, headers=bearer(secrets.new_token("a token"))) for each in ENTRY_POINTS)
    )
    await server.update_user(ADA, password=secrets.new_secret("a password"))
    for table in tables:
        await server.run_sql(f"ALTER TABLE elsewhere_{table} RENAME TO {table}")


async def violate_check_constraints(server):
    """Violate check constraints of another application: PostgreSQL's error contains the whole row."""
    constraints = {
        "directus_sessions": "user_agent IS DISTINCT FROM 'odd'",
        "directus_users": "first_name IS DISTINCT FROM 'Odd'",
        "rollcall_outbox": "kind <> 'reset'",
    }
    for table, condition in constraints.items():
        await server.run_sql(f"ALTER TABLE {table} ADD CONSTRAINT odd_{table} CHECK ({condition}) NOT VALID")
    secrets = server.secrets
    for entry_point in ENTRY_POINTS:
        credentials = {"email": "ada@example.com", "password": PASSWORD}
        await server.call(entry_point, "login", **credentials, headers={"user-agent": "odd"})
        await server.call(entry_point, "request", email="vi@example.com")
        email, password = secrets.new_email("an odd address"), secrets.new_secret("an odd password")
        await server.call(entry_point, "register", email=email, password=password, first_name="Odd")
    await server.update_user(ADA, first_name="Odd", token=secrets.new_token("an odd token"))
