"""The life of one account, from invitation to password reset, with real mails through a real SMTP server."""

import asyncio
import re
from urllib.parse import parse_qs, urlsplit

from app.core.clock import utc_now
from tests.base_data import uid
from tests.flows.clock import FrozenClock
from tests.flows.inviters import SETTINGS_OVERRIDES
from tests.http.test_graphql import ADA, served
from tests.mail.server import MailServer

INES_EMAIL = "ines@example.com"
FIRST_PASSWORD, SECOND_PASSWORD = "the first password", "the second password"
LINK = re.compile(r"https://users\.example\.com/\S+")


class Browser:
    """An HTTP client with a cookie jar."""

    def __init__(self, client):
        self._client = client
        self.cookies = {}

    async def execute(self, query, variables=None, cookies=None, headers=None):
        sent = self.cookies if cookies is None else cookies
        cookie_header = "; ".join(f"{name}={value}" for name, value in sent.items())
        headers = {**(headers or {}), **({"cookie": cookie_header} if cookie_header else {})}
        response = await self._client.post(
            "/graphql/system", json={"query": query, "variables": variables or {}}, headers=headers
        )
        for cookie in response.headers.get_list("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return response.json()


async def mailed_token(server, subject):
    """Wait for the next mail, which must have this subject, and return the token of its link."""
    async with asyncio.timeout(10):
        while not server.mails:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.05)
    message = server.mails.pop()
    assert (message.to, message.message["subject"]) == ([INES_EMAIL], subject)
    (link,) = set(LINK.findall(message.plain))
    assert link in message.html.replace("&amp;", "&")
    return parse_qs(urlsplit(link).query)["token"][0]


LOGIN = """mutation($p: String!, $o: String) {
    auth_login(email: "Ines@Example.com", password: $p, otp: $o, mode: session) { expires }
}"""
GENERATE = "mutation($p: String!) { users_me_tfa_generate(password: $p) { secret otpauth_url } }"
ENABLE = "mutation($o: String!, $s: String!) { users_me_tfa_enable(otp: $o, secret: $s) }"
RECOVERY = "mutation($o: String!) { users_me_tfa_recovery_codes(otp: $o) }"
RESET = "mutation($t: String!, $p: String!) { auth_password_reset(token: $t, password: $p) }"
ME = "{ users_me { id } }"


async def test_a_user_is_invited_logs_in_with_two_factors_and_resets_the_password(inviters):
    mail = MailServer()
    overrides = {
        **SETTINGS_OVERRIDES,
        "public_url": "https://users.example.com",
        "email_transport": "smtp",
        "email_smtp_host": "127.0.0.1",
        "email_smtp_port": mail.port,
    }
    clock = FrozenClock(utc_now())  # frozen, so that a code doesn't expire before it is sent
    async with mail.up(), served(inviters.settings.model_copy(update=overrides), clock) as client:
        ada, ines = Browser(client), Browser(client)

        # Ada invites Ines, who accepts.
        role = uid("role-Writer")
        invite = f'mutation {{ users_invite(email: "{INES_EMAIL}", role: "{role}") }}'
        assert (await ada.execute(invite, headers=ADA)) == {"data": {"users_invite": True}}
        token = await mailed_token(mail, "You've been invited")
        accept = "mutation($t: String!, $p: String!) { users_invite_accept(token: $t, password: $p) }"
        assert (await ines.execute(accept, {"t": token, "p": FIRST_PASSWORD})) == {
            "data": {"users_invite_accept": True}
        }
        again = await ines.execute(accept, {"t": token, "p": "another password"})
        assert again["errors"][0]["extensions"]["code"] == "INVALID_INVITE"

        # Ines logs in and sets up two-factor authentication.
        await ines.execute(LOGIN, {"p": FIRST_PASSWORD})
        assert (await ines.execute(ME))["data"]["users_me"]["id"]
        secret = (await ines.execute(GENERATE, {"p": FIRST_PASSWORD}))["data"]["users_me_tfa_generate"]["secret"]
        code = clock.code(secret)
        assert (await ines.execute(ENABLE, {"o": code, "s": secret})) == {"data": {"users_me_tfa_enable": True}}
        recovery = (await ines.execute(RECOVERY, {"o": clock.code(secret)}))["data"]["users_me_tfa_recovery_codes"]
        assert len(set(recovery)) == 10

        # From now on a login requires a code or a recovery code; each works once.
        elsewhere = Browser(client)
        without_code = await elsewhere.execute(LOGIN, {"p": FIRST_PASSWORD})
        assert without_code["errors"][0]["extensions"]["code"] == "INVALID_OTP"
        clock.advance()
        code = clock.code(secret)
        assert (await elsewhere.execute(LOGIN, {"p": FIRST_PASSWORD, "o": code}))["data"]["auth_login"]
        replayed = await Browser(client).execute(LOGIN, {"p": FIRST_PASSWORD, "o": code})
        assert replayed["errors"][0]["extensions"]["code"] == "INVALID_OTP"
        recovered = Browser(client)
        assert (await recovered.execute(LOGIN, {"p": FIRST_PASSWORD, "o": recovery[0]}))["data"]["auth_login"]
        reused_recovery = await Browser(client).execute(LOGIN, {"p": FIRST_PASSWORD, "o": recovery[0]})
        assert reused_recovery["errors"][0]["extensions"]["code"] == "INVALID_OTP"

        # Ines resets the password, which ends all sessions.
        requested = await ines.execute('mutation { auth_password_request(email: "INES@example.com") }', cookies={})
        assert requested == {"data": {"auth_password_request": True}}
        token = await mailed_token(mail, "Password Reset Request")
        assert (await ines.execute(RESET, {"t": token, "p": SECOND_PASSWORD}, cookies={})) == {
            "data": {"auth_password_reset": True}
        }
        for browser in (ines, elsewhere, recovered):
            logged_out = await browser.execute(ME)
            assert logged_out["errors"][0]["extensions"]["code"] == "INVALID_CREDENTIALS"
        old_password = await Browser(client).execute(LOGIN, {"p": FIRST_PASSWORD, "o": recovery[1]})
        assert old_password["errors"][0]["extensions"]["code"] == "INVALID_CREDENTIALS"
        assert (await Browser(client).execute(LOGIN, {"p": SECOND_PASSWORD, "o": recovery[2]}))["data"]["auth_login"]
        reused_link = await Browser(client).execute(RESET, {"t": token, "p": "a third"})
        assert reused_link["errors"][0]["extensions"]["code"] == "FORBIDDEN"
