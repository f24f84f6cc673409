"""What people do over several pages: invited and forgetful ones, by keyboard only, back and forth, in two tabs."""

import asyncio
import re
from datetime import timedelta

from jose import jwt
from playwright.async_api import expect

from app.core.config import signing_secret
from app.core.tokens import encode_jwt
from tests.base_data import uid
from tests.browser.keyboard import tab_to
from tests.http.clients import PASSWORD, SESSION, totp_code

LINK = re.compile(r"http://127\.0\.0\.1:\d+/admin/\S+")
FIRST_PASSWORD, SECOND_PASSWORD = "the first password", "the second password"


async def link_of_next_mail(mail_server, recipient):
    """Return the link in the next mail to a recipient, when it has arrived."""
    for _ in range(500):
        for mail in mail_server.mails:
            if mail.to == [recipient]:
                mail_server.mails.remove(mail)
                (link,) = LINK.findall(mail.plain)
                return link
        await asyncio.sleep(0.02)
    raise AssertionError(f"no mail to {recipient} arrived")


async def sign_in(page, email, password):
    await page.goto("/admin/sign-in")
    await page.get_by_label("Email").fill(email)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()


async def sign_in_with_code(page, email, password, code):
    await sign_in(page, email, password)
    await page.get_by_label("One-time code").fill(code)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()


async def sign_out(page):
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("status")).to_have_text("You are signed out.")


async def accept_invitation(page, link):
    await page.goto(link)
    assert "token" not in page.url  # the script removes it from the address and so from the history
    await page.get_by_label("Password", exact=True).fill(FIRST_PASSWORD)
    await page.get_by_role("button", name="Activate account").click()
    await expect(page.get_by_role("status")).to_contain_text("your account is active")


async def set_up_tfa(page):
    """Set up two-factor authentication with the key of the QR code; return the recovery codes."""
    await page.goto("/admin/account/two-factor")
    await page.get_by_label("Password").fill(FIRST_PASSWORD)
    await page.get_by_role("button", name="Set up").click()
    await page.get_by_text("The app cannot scan it").click()
    secret = (await page.locator("code.secret").inner_text()).replace(" ", "")
    await page.get_by_label("Enter the code").fill(totp_code(secret))
    await page.get_by_role("button", name="Enable").click()
    codes = await page.get_by_role("region", name="Recovery codes").inner_text()
    return codes.split()


async def test_from_an_invitation_to_a_lost_password(browsing, mail_server):
    ada = await browsing.open(f"/roles/{uid('role-Viewer')}/invite", user="ada")
    await ada.get_by_label("Email addresses").fill("new@example.com")
    await ada.get_by_role("button", name="Invite").click()
    page = await browsing.open()
    await accept_invitation(page, await link_of_next_mail(mail_server, "new@example.com"))
    await sign_in(page, "new@example.com", FIRST_PASSWORD)
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    codes = await set_up_tfa(page)
    await page.get_by_role("link", name="Continue").click()
    await sign_out(page)
    await sign_in_with_code(page, "new@example.com", FIRST_PASSWORD, codes[0])
    await sign_out(page)
    await page.get_by_role("link", name="Forgot your password?").click()
    await page.get_by_label("Email").fill("new@example.com")
    await page.get_by_role("button", name="Send link").click()
    await page.goto(await link_of_next_mail(mail_server, "new@example.com"))
    await page.get_by_label("Password", exact=True).fill(SECOND_PASSWORD)
    await page.get_by_role("button", name="Save password").click()
    await expect(page.get_by_role("status")).to_contain_text("Your new password is saved.")

    await sign_in_with_code(page, "new@example.com", SECOND_PASSWORD, codes[1])


async def test_the_keyboard_alone_signs_in_finds_a_user_and_changes_the_status(page):
    await page.goto("/admin/sign-in?next=/admin/users")
    await tab_to(page, page.get_by_label("Email"))
    await page.keyboard.type("ada@example.com")
    await tab_to(page, page.get_by_label("Password"))
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Users")
    await tab_to(page, page.get_by_role("searchbox"))
    await page.keyboard.type("edelman")
    await expect(page.get_by_role("row")).to_have_count(2)  # that of the heading, too
    await tab_to(page, page.get_by_role("link", name=re.compile("Edelman")))
    await page.keyboard.press("Enter")
    await tab_to(page, page.get_by_role("link", name="Edit", exact=True))
    await page.keyboard.press("Enter")
    await tab_to(page, page.get_by_label("Status"))
    await page.keyboard.type("Sus")
    await tab_to(page, page.get_by_role("button", name="Save"))
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("status")).to_have_text("The user was saved.")
    await expect(page.get_by_role("main")).to_contain_text("Suspended")


async def test_back_and_reload_keep_the_state_of_the_list(browsing):
    page = await browsing.open("/users?status=active", user="ada")
    await page.get_by_role("searchbox").fill("example.com")
    await expect(page).to_have_url(re.compile("search=example.com"))
    await page.get_by_role("link", name="Email").click()
    state = page.url
    assert "sort=-email" in state
    rows = await page.get_by_role("row").all_inner_texts()
    await page.get_by_role("row").nth(2).get_by_role("link").first.click()
    await expect(page.get_by_role("heading", level=1)).not_to_have_text("Users")
    await page.go_back()

    assert page.url == state
    assert await page.get_by_role("row").all_inner_texts() == rows
    await expect(page.get_by_role("searchbox")).to_have_value("example.com")
    await page.reload()
    assert await page.get_by_role("row").all_inner_texts() == rows


async def test_two_tabs_that_renew_their_session_at_once_stay_signed_in(browsing):
    page = await browsing.open("", user="ada")
    tab = await page.context.new_page()
    (cookie,) = [cookie for cookie in await page.context.cookies() if cookie["name"] == SESSION]
    claims = jwt.get_unverified_claims(cookie["value"])
    settings = browsing.system.settings
    remaining = settings.session_cookie_ttl / 4
    issued = {name: claims[name] for name in claims.keys() - {"iat", "exp", "iss"}}
    old = encode_jwt(signing_secret(settings), issued, remaining, browsing.system.services.clock())
    await page.context.add_cookies([{**cookie, "value": old}])
    await asyncio.gather(page.goto("/admin/users"), tab.goto("/admin/roles"))
    await asyncio.gather(page.goto("/admin/roles"), tab.goto("/admin/users"))

    await expect(page.get_by_role("heading", level=1)).to_have_text("Roles")
    await expect(tab.get_by_role("heading", level=1)).to_have_text("Users")
    (renewed,) = [cookie for cookie in await page.context.cookies() if cookie["name"] == SESSION]
    expires = jwt.get_unverified_claims(renewed["value"])["exp"]
    assert expires - claims["iat"] > (settings.session_cookie_ttl - timedelta(minutes=5)).total_seconds()
