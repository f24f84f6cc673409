"""A server in a process of its own whose log is collected while the scenario exercises everything that handles secrets.

It logs at debug level, sends real mail, and has tables renamed under it.
"""

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from itertools import cycle
from urllib.parse import parse_qs, urlsplit

import httpx
from sqlalchemy import text

from tests.base_data import CHEAP_HASH_COST, static_token
from tests.compat.replay import ROLLCALL, free_port
from tests.flows.inviters import update_settings, update_user
from tests.http.clients import cookies_of, send
from tests.mail.server import MailServer
from tests.security.entry_points import PASSWORD, PASSWORD_HASH, TFA_SECRET, call_flow, post_graphql
from tests.security.secret_registry import SecretRegistry

PUBLIC_URL = "https://users.example.com"
MAX_PAYLOAD_BYTES = 64 * 1024
"""The limit on request bodies."""
CONNECTION_LIMITS = httpx.Limits(max_connections=8)
MAX_LOGIN_ATTEMPTS = 8
"""Failed logins before an address is locked out."""


class MonitoredServer:
    """A running server: its client, the secrets it was sent or returned, its mail, and its log."""

    def __init__(self, system, client, mail):
        self.system, self.client, self.mail, self.secrets = system, client, mail, SecretRegistry()
        self.log = ""
        self._inline = cycle((True, False))

    async def call(self, entry_point, flow, **arguments):
        """Call a flow; every other GraphQL call has its arguments inline instead of in variables."""
        response = await call_flow(self.client, entry_point, flow, inline=next(self._inline), **arguments)
        self._register_secrets(response)
        return response

    def _register_secrets(self, response):
        for name, (value, _) in cookies_of(response).items():
            if value:
                self.secrets.register(f"the cookie {name}", value)
        with suppress(ValueError, AttributeError):  # empty, an HTML page, or a list
            self._register_data(response.json().get("data"))

    def _register_data(self, data):
        for name, value in (data or {}).items():
            if isinstance(value, dict):
                self._register_data(value)
            elif name in {"access_token", "refresh_token", "secret", "otpauth_url"} and value:
                self.secrets.register(f"{name} in a response", value)

    async def link_token(self, recipient):
        """Wait for the next mail to a recipient and return the token of its link."""
        async with asyncio.timeout(10):
            while not (mails := [mail for mail in self.mail.mails if mail.to == [recipient]]):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        self.mail.mails.remove(mails[0])
        (link,) = {word for word in mails[0].plain.split() if word.startswith(PUBLIC_URL)}
        return self.secrets.register("the token of a link", parse_qs(urlsplit(link).query)["token"][0])

    async def update_user(self, headers, key="me", **values):
        await send(self.client, "PATCH", f"/users/{key}", values, headers=headers)
        mutation = "mutation($d: update_directus_users_input!) { update_users_me(data: $d) { id } }"
        await post_graphql(self.client, mutation, headers=headers, variables={"d": values})

    async def run_sql(self, statement):
        async with self.system.database.transaction() as connection:
            await connection.execute(text(statement))


@asynccontextmanager
async def monitored_server(system):
    """Run a server on a database from start to end; its `log` is complete after the block."""
    await update_settings(system, auth_login_attempts=MAX_LOGIN_ATTEMPTS, public_registration=True)
    for name, secret in {"ada": None, "vi": None, "wes": None, "ed": TFA_SECRET}.items():
        await update_user(system, name, password=PASSWORD_HASH, tfa_secret=secret)
    port = free_port()
    async with MailServer().up() as mail:
        env = server_environment(system, mail, port)
        process = await asyncio.create_subprocess_exec(
            *ROLLCALL, "serve", env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=CONNECTION_LIMITS) as client:
            server = MonitoredServer(system, client, mail)
            server.secrets.register("SECRET", env["SECRET"])
            for name in ("ada", "vi", "ed"):
                server.secrets.register("a static token", static_token(name))
                server.secrets.register("an email address", f"{name}@example.com")
            server.secrets.register("a password", PASSWORD)
            server.secrets.register("its hash", PASSWORD_HASH)
            log_task = asyncio.create_task(_collect_log(process, server))
            try:
                await _wait_until_ready(client)
                yield server
            finally:
                process.terminate()
                await asyncio.wait_for(process.wait(), 20)
                await log_task


async def _collect_log(process, server):
    while line := await process.stdout.readline():
        server.log += line.decode(errors="replace")


async def _wait_until_ready(client):
    for _ in range(400):
        with suppress(httpx.TransportError):
            await client.get("/server/ping")
            return
        await asyncio.sleep(0.05)


def server_environment(system, mail, port):
    """Return the environment of the server, with as much logging as possible."""
    allow_lists = dict.fromkeys(
        ("USER_INVITE_URL_ALLOW_LIST", "PASSWORD_RESET_URL_ALLOW_LIST", "USER_REGISTER_URL_ALLOW_LIST"),
        f"{PUBLIC_URL}/reset",
    )
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": system.settings.database_url,
        "SECRET": system.settings.secret.get_secret_value(),
        "PORT": str(port),
        "PUBLIC_URL": PUBLIC_URL,
        "LOG_LEVEL": "debug",
        "HASH_MEMORY_COST": str(CHEAP_HASH_COST.memory),
        "HASH_TIME_COST": str(CHEAP_HASH_COST.time),
        "HASH_PARALLELISM": str(CHEAP_HASH_COST.parallelism),
        "LOGIN_STALL_TIME": "0",
        "REGISTER_STALL_TIME": "0",
        "RATE_LIMITER_REGISTRATION_POINTS": "1000",
        "MAX_PAYLOAD_SIZE": str(MAX_PAYLOAD_BYTES),
        "EMAIL_TRANSPORT": "smtp",
        "EMAIL_SMTP_HOST": "127.0.0.1",
        "EMAIL_SMTP_PORT": str(mail.port),
        **allow_lists,
    }
