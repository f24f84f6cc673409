"""A server of its own process that is watched while everything is done at its doors that has to do with secrets.

It logs all it can, sends real mail, and has its tables taken away under it.
"""

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from itertools import cycle
from urllib.parse import parse_qs, urlsplit

import httpx
from sqlalchemy import text

from tests.compat.replay import ROLLCALL, free_port
from tests.flows.inviters import update_settings, update_user
from tests.http.clients import handed, send
from tests.mail.server import MailServer
from tests.security.entry_points import HASHED, PASSWORD, SECRET, ask, query
from tests.security.secret_registry import Secrets
from tests.world import CHEAP, static_token

HOME = "https://users.example.com"
EVERYTHING = 64 * 1024
"""Bytes of a request at most."""
AT_ONCE = httpx.Limits(max_connections=8)
MOST_TRIES = 8
"""Failed sign-ins that an address bears."""


class Watched:
    """The server while it runs: how to ask it, what its people know, and in the end all that it wrote."""

    def __init__(self, system, client, mail):
        self.system, self.client, self.mail, self.secrets = system, client, mail, Secrets()
        self.log = ""
        self._within = cycle((True, False))

    async def ask(self, door, flow, **given):
        """In GraphQL what is given stands within the text every other time, else beside it."""
        answer = await ask(self.client, door, flow, literally=next(self._within), **given)
        self._notice(answer)
        return answer

    def _notice(self, answer):
        for name, (value, _) in handed(answer).items():
            if value:
                self.secrets.keep(f"the cookie {name}", value)
        with suppress(ValueError, AttributeError):  # nothing, a page, a list
            self._keep_told(answer.json().get("data"))

    def _keep_told(self, data):
        for name, value in (data or {}).items():
            if isinstance(value, dict):
                self._keep_told(value)
            elif name in {"access_token", "refresh_token", "secret", "otpauth_url"} and value:
                self.secrets.keep(f"{name} that was told", value)

    async def link(self, to):
        """The token of the next mail to an address."""
        async with asyncio.timeout(10):
            while not (mine := [letter for letter in self.mail.letters if letter.to == [to]]):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        self.mail.letters.remove(mine[0])
        (found,) = {word for word in mine[0].plain.split() if word.startswith(HOME)}
        return self.secrets.keep("the token of a link", parse_qs(urlsplit(found).query)["token"][0])

    async def change(self, headers, key="me", **values):
        await send(self.client, "PATCH", f"/users/{key}", values, headers=headers)
        mutation = "mutation($d: update_directus_users_input!) { update_users_me(data: $d) { id } }"
        await query(self.client, mutation, headers=headers, variables={"d": values})

    async def on_database(self, statement):
        async with self.system.database.transaction() as connection:
            await connection.execute(text(statement))


@asynccontextmanager
async def watched(system):
    """A server on a database, watched from its start; its `log` is whole at the end."""
    await update_settings(system, auth_login_attempts=MOST_TRIES, public_registration=True)
    for name, secret in {"ada": None, "vi": None, "wes": None, "ed": SECRET}.items():
        await update_user(system, name, password=HASHED, tfa_secret=secret)
    port = free_port()
    async with MailServer().up() as mail:
        env = environment(system, mail, port)
        process = await asyncio.create_subprocess_exec(
            *ROLLCALL, "serve", env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=AT_ONCE) as client:
            seen = Watched(system, client, mail)
            seen.secrets.keep("SECRET", env["SECRET"])
            for name in ("ada", "vi", "ed"):
                seen.secrets.keep("a static token", static_token(name))
                seen.secrets.keep("an address", f"{name}@example.com")
            seen.secrets.keep("a password", PASSWORD)
            seen.secrets.keep("its hash", HASHED)
            reading = asyncio.create_task(_read(process, seen))
            try:
                await _answering(client)
                yield seen
            finally:
                process.terminate()
                await asyncio.wait_for(process.wait(), 20)
                await reading


async def _read(process, seen):
    while line := await process.stdout.readline():
        seen.log += line.decode(errors="replace")


async def _answering(client):
    for _ in range(400):
        with suppress(httpx.TransportError):
            await client.get("/server/ping")
            return
        await asyncio.sleep(0.05)


def environment(system, mail, port):
    """What the server is told: to say all it can."""
    lists = dict.fromkeys(
        ("USER_INVITE_URL_ALLOW_LIST", "PASSWORD_RESET_URL_ALLOW_LIST", "USER_REGISTER_URL_ALLOW_LIST"), f"{HOME}/reset"
    )
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": system.settings.database_url,
        "SECRET": system.settings.secret.get_secret_value(),
        "PORT": str(port),
        "PUBLIC_URL": HOME,
        "LOG_LEVEL": "debug",
        "HASH_MEMORY_COST": str(CHEAP.memory),
        "HASH_TIME_COST": str(CHEAP.time),
        "HASH_PARALLELISM": str(CHEAP.parallelism),
        "LOGIN_STALL_TIME": "0",
        "REGISTER_STALL_TIME": "0",
        "RATE_LIMITER_REGISTRATION_POINTS": "1000",
        "MAX_PAYLOAD_SIZE": str(EVERYTHING),
        "EMAIL_TRANSPORT": "smtp",
        "EMAIL_SMTP_HOST": "127.0.0.1",
        "EMAIL_SMTP_PORT": str(mail.port),
        **lists,
    }
