"""Everything that is done at the doors of a server that is watched: what goes well, what doesn't, and what can't."""

import asyncio
import time
from contextlib import suppress
from itertools import cycle
from urllib.parse import quote

import pyotp

from tests.flows.clock import UnpaddedTOTP
from tests.http.clients import SESSION, TO_REFRESH, handed, send
from tests.http.test_graphql import bearer
from tests.security.entry_points import DOORS, GRAPHQL, HASHED, PASSWORD, code, me, told
from tests.security.leak_detector import EVERYTHING, HOME, MOST_TRIES
from tests.world import static_token, uid

ADA, VI, ED = (bearer(static_token(name)) for name in ("ada", "vi", "ed"))
JSON, PLAIN = {"content-type": "application/json"}, {"content-type": "text/plain"}
TAKEN_AWAY = (("directus_settings",), ("directus_sessions", "rollcall_outbox"), ("directus_users", "rollcall_attempts"))
MALFORMED = (
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
    lambda secret: f'{{"password": "{secret}", "more": "{"x" * EVERYTHING}"}}',
)


async def do_everything(seen):
    """Whatever can be done."""
    await asyncio.gather(*(do(seen, door) for do in (live, mistake) for door in DOORS), say_nonsense(seen))
    await speak_no_http(seen)
    for tables in TAKEN_AWAY:
        await go_without(seen, *tables)
    if seen.system.database.dialect == "postgresql":
        await break_rules(seen)
    async with asyncio.timeout(10):
        while "mail_failed" not in seen.log:  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0.05)


async def code_of(seen, secret):
    """The code of this moment, with some of its time left."""
    left = 30 - time.time() % 30
    await asyncio.sleep(left if left < 2 else 0)
    return seen.secrets.code(UnpaddedTOTP(secret).now())


async def live(seen, door):
    """A life, from the invitation to the end of a session; and another's, who registers."""
    new, ask = seen.secrets, seen.ask
    email, password, role = new.address("an invited address"), new.new("a first password"), uid("role-Writer")
    assert code(await ask(door, "invite", email=email, role=role, headers=ADA)) is None
    token = await seen.link(email)
    assert code(await ask(door, "accept", token=token, password=password)) is None
    shown = {"email": email, "password": password}
    mine = bearer(told(await ask(door, "login", **shown))["access_token"])
    secret = told(await ask(door, "generate", password=password, headers=mine))["secret"]
    otp = await code_of(seen, secret)
    assert code(await ask(door, "enable", otp=otp, secret=secret, headers=mine)) is None
    recovery = told(await ask(door, "recovery", otp=otp, headers=mine))
    for one in recovery:
        new.keep("a recovery code", one)
    await ask(door, "login", **shown, otp=otp)
    await ask(door, "login", **shown, otp=otp)  # used already
    for mode, name in (("cookie", TO_REFRESH), ("session", SESSION)):
        answer = await ask(door, "login", **shown, mode=mode, otp=recovery.pop())
        cookie = {name: handed(answer)[name][0]}
        await me(seen.client, door, cookies=cookie)
        answer = await ask(door, "refresh", mode=mode, cookies=cookie)
        await ask(door, "logout", mode=mode, cookies={name: handed(answer)[name][0]})
    answer = await ask(door, "login", **shown, otp=recovery.pop())
    answer = await ask(door, "refresh", refresh_token=told(answer)["refresh_token"], mode="json")
    mine = bearer(told(answer)["access_token"])
    await ask(door, "disable", otp=recovery.pop(), headers=mine)
    await send(seen.client, "GET", f"/users/me?access_token={told(answer)['access_token']}")
    await seen.change(mine, password=new.new("a second password"))
    await ask(door, "request", email=email, reset_url=f"{HOME}/reset")
    assert code(await ask(door, "reset", token=await seen.link(email), password=new.new("a third"))) is None
    await ask(door, "logout", refresh_token=told(answer)["refresh_token"])
    key = (await send(seen.client, "GET", f"/users?filter[email][_eq]={email}", headers=ADA)).json()["data"][0]["id"]
    await seen.change(ADA, key, token=new.token("a static token"))

    email, password = new.address("a registered address"), new.new("a registered password")
    await ask(door, "register", email=email, password=password, first_name="New")
    await ask(door, "verify", token=await seen.link(email))
    await ask(door, "hash", string=new.new("a text to be hashed"))
    await ask(door, "match", string=new.new("a text to be compared"), hash=HASHED)


async def mistake(seen, door):
    """What strangers try, and people who mistake themselves."""
    new = seen.secrets
    gone = new.address("an address nobody takes")
    seen.mail.refusing[gone] = f"550 5.1.1 {gone} is unknown here"
    await seen.ask(door, "invite", email=gone, role=uid("role-Writer"), headers=ADA)
    for email in (new.address("a stranger"), "ed@example.com"):
        await seen.ask(door, "login", email=email, password=new.new("a wrong password"), otp=new.code("918273"))
    locked_out = {"email": "wes@example.com", "password": new.new("a password that is wrong again and again")}
    await asyncio.gather(*(seen.ask("rest", "login", **locked_out) for _ in range(MOST_TRIES // 2 + 1)))
    for flow in ("request", "register"):
        url = {"request": "reset_url", "register": "verification_url"}[flow]
        more = {} if flow == "request" else {"password": new.new("a refused password")}
        bad = f"https://{new.token('host')}.example.net/"
        await seen.ask(door, flow, email=new.address(f"{flow} of a stranger"), **{url: bad}, **more)
    await seen.ask(door, "register", email=f"{new.token('half')}@", password=new.new("a password of nobody"))
    for flow in ("accept", "reset", "verify"):
        for token in (new.jwt(f"a forged link of {flow}"), new.token(f"a made up link of {flow}")):
            more = {} if flow == "verify" else {"password": new.new(f"a password with {flow}")}
            await seen.ask(door, flow, token=token, **more)
    for flow in ("refresh", "logout"):
        await seen.ask(door, flow, refresh_token=new.token("a made up refresh token"))
        for name, mode in ((SESSION, "session"), (TO_REFRESH, "cookie")):
            for token in (new.jwt("a forged cookie"), new.token("a made up cookie")):
                await seen.ask(door, flow, mode=mode, cookies={name: token})
    await seen.ask(door, "generate", password=new.new("not the password"), headers=VI)
    await seen.ask(door, "enable", otp=new.code("564738"), secret=new.new("no secret"), headers=VI)
    await seen.ask(
        door, "enable", otp=new.code("465738"), secret=new.keep("a secret", pyotp.random_base32()), headers=VI
    )
    await seen.ask(door, "match", string=new.new("a text"), hash=new.new("no hash"))
    for token in (new.jwt("a forged token"), new.token("a made up token")):
        await me(seen.client, door, headers=bearer(token))
        await me(seen.client, door, cookies={SESSION: token})
        await me(seen.client, door, headers={"authorization": f"Basic {token}"})
        for path in ("/users/me", "/server/info", "/nowhere", GRAPHQL) if door == "rest" else ():
            await send(seen.client, "GET", f"{path}?access_token={token}", headers=VI)
            await send(seen.client, "GET", f"{path}?access_token={token}")


async def say_nonsense(seen):
    """What can't even be read."""
    new = seen.secrets
    paths = cycle(("/auth/login", "/auth/password/reset", "/users/register", "/users/me/tfa/generate", "/users"))
    kinds = cycle((JSON, PLAIN, {**JSON, **VI}))
    for make in MALFORMED:
        for path in (GRAPHQL, next(paths), next(paths)):
            body = make(new.new("a password in a malformed body")).encode()
            await seen.client.request("POST", path, content=body, headers=next(kinds))
    asked = f'mutation {{ auth_login(email: "a@b.c", password: "{new.new("a password by GET")}") {{ expires }} }}'
    await seen.client.get(GRAPHQL, params={"query": asked, "variables": new.new("variables that are no JSON")})
    await seen.client.get("/users/register/verify-email", params={"token": [new.jwt("two links"), new.token("two")]})
    await seen.client.get(f"/users?filter={quote(new.new('a filter that is no JSON'))}")
    await seen.client.get(f"/users?limit={quote(new.new('a limit'))}&sort={new.token('a sort')}", headers=ADA)


async def speak_no_http(seen):
    """What no client of HTTP would send: a WebSocket, a line that is none, a header that never ends."""
    new, port = seen.secrets, seen.client.base_url.port
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n"
    begun = "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
    beside = f"Authorization: Bearer {new.token('a token beside it')}\r\n"
    for lines in (
        f"GET {GRAPHQL}?access_token={new.token('a token of a WebSocket')} HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n",
        f"GET /users?access_token={new.token('a token of another')} HTTP/1.1\r\nHost: x\r\n{beside}{upgrade}\r\n",
        f"GET /?access_token={new.token('a token of HTTP/9')} HTTP/9.9\r\n\r\n",
        f"{new.token('a method')} / HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization Bearer {new.token('a token without a colon')}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\nCookie: {new.token('a cookie')}={'x' * 200_000}\r\n\r\n",
        f'{begun}{{"password": "{new.token("a password of half a body")}',
        f"\x16\x03\x01{new.token('a greeting of TLS')}\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(lines.encode("latin-1"))
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(0.1):
                await reader.read(100)
        writer.close()


async def go_without(seen, *tables):
    """Both doors with tables taken away, and put back."""
    for table in tables:
        await seen.on_database(f"ALTER TABLE {table} RENAME TO elsewhere_{table}")
    new = seen.secrets
    secret, email = new.new(f"a secret without {tables}"), new.address(f"an address without {tables}")
    tried = {
        "login": {"email": "vi@example.com", "password": PASSWORD},
        "request": {"email": "vi@example.com"},
        "register": {"email": email, "password": secret},
        "invite": {"email": email, "role": uid("role-Writer"), "headers": ADA},
        "generate": {"password": secret, "headers": VI},
        "refresh": {"refresh_token": new.token("a refresh token")},
        "accept": {"token": new.jwt("a link"), "password": secret},
        "disable": {"otp": new.code("102938"), "headers": ED},
    }
    await asyncio.gather(*(seen.ask(door, flow, **given) for door in DOORS for flow, given in tried.items()))
    await asyncio.gather(*(me(seen.client, door, headers=bearer(new.token("a token"))) for door in DOORS))
    await seen.change(ADA, password=new.new("a password"))
    for table in tables:
        await seen.on_database(f"ALTER TABLE elsewhere_{table} RENAME TO {table}")


async def break_rules(seen):
    """What a neighbour lets nobody write: PostgreSQL tells the whole row that it refuses."""
    rules = {
        "directus_sessions": "user_agent IS DISTINCT FROM 'odd'",
        "directus_users": "first_name IS DISTINCT FROM 'Odd'",
        "rollcall_outbox": "kind <> 'reset'",
    }
    for table, rule in rules.items():
        await seen.on_database(f"ALTER TABLE {table} ADD CONSTRAINT odd_{table} CHECK ({rule}) NOT VALID")
    new = seen.secrets
    for door in DOORS:
        shown = {"email": "ada@example.com", "password": PASSWORD}
        await seen.ask(door, "login", **shown, headers={"user-agent": "odd"})
        await seen.ask(door, "request", email="vi@example.com")
        email, password = new.address("an odd address"), new.new("an odd password")
        await seen.ask(door, "register", email=email, password=password, first_name="Odd")
    await seen.change(ADA, first_name="Odd", token=new.token("an odd token"))
