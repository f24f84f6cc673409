"""One person's story, from the invitation to a lost password, with real mails through a real mail server."""

import asyncio
import re
from urllib.parse import parse_qs, urlsplit

from app.core.clock import utc_now
from app.core.otp import _TOTP
from tests.flows.inviters import SETTINGS_OVERRIDES
from tests.http.test_graphql import ADA, served
from tests.mail.server import MailServer
from tests.world import uid

ROOM = "ines@example.com"
FIRST, SECOND = "the password she chose", "the one she chose after that"
LINK = re.compile(r"https://users\.example\.com/\S+")


class Browser:
    """Somebody's browser: it keeps the cookies that it is given."""

    def __init__(self, client):
        self._client = client
        self.cookies = {}

    async def ask(self, query, variables=None, cookies=None, headers=None):
        kept = self.cookies if cookies is None else cookies
        line = "; ".join(f"{name}={value}" for name, value in kept.items())
        told = {**(headers or {}), **({"cookie": line} if line else {})}
        answer = await self._client.post(
            "/graphql/system", json={"query": query, "variables": variables or {}}, headers=told
        )
        for cookie in answer.headers.get_list("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer.json()


async def mailed(server, subject):
    """The token of the link in the next mail, which has this subject."""
    async with asyncio.timeout(10):
        while not server.mails:  # noqa: ASYNC110 - the server knows nothing of who waits
            await asyncio.sleep(0.05)
    letter = server.mails.pop()
    assert (letter.to, letter.message["subject"]) == ([ROOM], subject)
    (link,) = set(LINK.findall(letter.plain))
    assert link in letter.html.replace("&amp;", "&")
    return parse_qs(urlsplit(link).query)["token"][0]


SIGN_IN = """mutation($p: String!, $o: String) {
    auth_login(email: "Ines@Example.com", password: $p, otp: $o, mode: session) { expires }
}"""
GENERATE = "mutation($p: String!) { users_me_tfa_generate(password: $p) { secret otpauth_url } }"
ENABLE = "mutation($o: String!, $s: String!) { users_me_tfa_enable(otp: $o, secret: $s) }"
RECOVERY = "mutation($o: String!) { users_me_tfa_recovery_codes(otp: $o) }"
RESET = "mutation($t: String!, $p: String!) { auth_password_reset(token: $t, password: $p) }"
ME = "{ users_me { id } }"


async def test_a_user_is_invited_logs_in_with_two_factors_and_resets_the_password(inviters):
    mail = MailServer()
    changed = {
        **SETTINGS_OVERRIDES,
        "public_url": "https://users.example.com",
        "email_transport": "smtp",
        "email_smtp_host": "127.0.0.1",
        "email_smtp_port": mail.port,
    }
    now = utc_now()  # and so it stays, for a code not to change while it is typed
    async with mail.up(), served(inviters.settings.model_copy(update=changed), lambda: now) as client:
        ada, ines = Browser(client), Browser(client)

        # Ada invites her, and she accepts.
        role = uid("role-Writer")
        asked = f'mutation {{ users_invite(email: "{ROOM}", role: "{role}") }}'
        assert (await ada.ask(asked, headers=ADA)) == {"data": {"users_invite": True}}
        token = await mailed(mail, "You've been invited")
        accept = "mutation($t: String!, $p: String!) { users_invite_accept(token: $t, password: $p) }"
        assert (await ines.ask(accept, {"t": token, "p": FIRST})) == {"data": {"users_invite_accept": True}}
        again = await ines.ask(accept, {"t": token, "p": "somebody else's"})
        assert again["errors"][0]["extensions"]["code"] == "INVALID_INVITE"

        # She signs in, and sets up a second factor.
        await ines.ask(SIGN_IN, {"p": FIRST})
        assert (await ines.ask(ME))["data"]["users_me"]["id"]
        secret = (await ines.ask(GENERATE, {"p": FIRST}))["data"]["users_me_tfa_generate"]["secret"]
        code = _TOTP(secret).at(now)
        assert (await ines.ask(ENABLE, {"o": code, "s": secret})) == {"data": {"users_me_tfa_enable": True}}
        recovery = (await ines.ask(RECOVERY, {"o": _TOTP(secret).at(now)}))["data"]["users_me_tfa_recovery_codes"]
        assert len(set(recovery)) == 10

        # Now signing in takes a code, or one for the day when her telephone is lost; each is good once.
        elsewhere = Browser(client)
        wanted = await elsewhere.ask(SIGN_IN, {"p": FIRST})
        assert wanted["errors"][0]["extensions"]["code"] == "INVALID_OTP"
        code = _TOTP(secret).at(now)
        assert (await elsewhere.ask(SIGN_IN, {"p": FIRST, "o": code}))["data"]["auth_login"]
        replayed = await Browser(client).ask(SIGN_IN, {"p": FIRST, "o": code})
        assert replayed["errors"][0]["extensions"]["code"] == "INVALID_OTP"
        helped = Browser(client)
        assert (await helped.ask(SIGN_IN, {"p": FIRST, "o": recovery[0]}))["data"]["auth_login"]
        spent = await Browser(client).ask(SIGN_IN, {"p": FIRST, "o": recovery[0]})
        assert spent["errors"][0]["extensions"]["code"] == "INVALID_OTP"

        # She forgets her password, and gives herself another: whoever was signed in as her isn't any more.
        requested = await ines.ask('mutation { auth_password_request(email: "INES@example.com") }', cookies={})
        assert requested == {"data": {"auth_password_request": True}}
        token = await mailed(mail, "Password Reset Request")
        assert (await ines.ask(RESET, {"t": token, "p": SECOND}, cookies={})) == {"data": {"auth_password_reset": True}}
        for browser in (ines, elsewhere, helped):
            gone = await browser.ask(ME)
            assert gone["errors"][0]["extensions"]["code"] == "INVALID_CREDENTIALS"
        old = await Browser(client).ask(SIGN_IN, {"p": FIRST, "o": recovery[1]})
        assert old["errors"][0]["extensions"]["code"] == "INVALID_CREDENTIALS"
        assert (await Browser(client).ask(SIGN_IN, {"p": SECOND, "o": recovery[2]}))["data"]["auth_login"]
        reused = await Browser(client).ask(RESET, {"t": token, "p": "a third"})
        assert reused["errors"][0]["extensions"]["code"] == "FORBIDDEN"
