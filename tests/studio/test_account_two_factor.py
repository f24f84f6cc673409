"""Setting up two-factor authentication, also where a policy enforces it, recovery codes, and disabling it."""

import base64

from tests.base_data import uid
from tests.flows.inviters import user_row
from tests.http.clients import PASSWORD, SECRET
from tests.studio.visitors import Visitor


async def sign_in(visitor, name, **values):
    visitor.user = uid(name)
    return await visitor.post("/sign-in", {"email": f"{name}@example.com", "password": PASSWORD, **values})


async def start_setup(visitor):
    return await visitor.submit(await visitor.get("/account/two-factor"), {"password": PASSWORD})


def secret_of(page):
    return page.text_at("code.secret").replace(" ", "")


async def test_a_user_whose_policy_enforces_it_sees_only_its_pages_until_it_is_set_up(visitor, clock):
    await visitor.system.load({"directus_policies": [{"id": uid("policy-Viewers"), "enforce_tfa": True}]})
    await sign_in(visitor, "vi")
    for path in ("", "/users", "/account", "/account/password", "/account/sessions", "/account/rights"):
        assert (await visitor.get(path)).location == "/admin/account/two-factor"
    setup_form = await visitor.get("/account/two-factor")
    assert "Set it up to continue." in setup_form.text
    assert setup_form.html.select("nav a") == []
    setup = await visitor.submit(setup_form, {"password": PASSWORD})
    rejected = await visitor.submit(setup, {"otp": "000000"})
    assert rejected.status == 400
    codes = await visitor.submit(rejected, {"otp": clock.code(secret_of(setup))})

    assert len(codes.text_at("#recovery-codes").split()) == 10
    for path in ("", "/users", "/account", "/account/sessions", "/account/rights"):
        page = await visitor.get(path)
        assert page.status == 200, path
        assert page.has_link("/admin/users")


async def test_another_session_has_the_whole_navigation_once_it_is_set_up(visitor, clock):
    await visitor.system.load({"directus_policies": [{"id": uid("policy-Viewers"), "enforce_tfa": True}]})
    other = Visitor(visitor.client, visitor.system)
    await sign_in(visitor, "vi")
    await sign_in(other, "vi")
    setup = await start_setup(visitor)
    await visitor.submit(setup, {"otp": clock.code(secret_of(setup))})

    assert (await other.get("/account")).has_link("/admin/users")


async def test_a_wrong_code_keeps_the_secret_and_stores_nothing(visitor):
    await sign_in(visitor, "vi")
    setup = await start_setup(visitor)

    page = await visitor.submit(setup, {"otp": "12345"})

    assert page.status == 400
    assert secret_of(page) == secret_of(setup)
    assert page.html.select_one("svg.qr-code")
    assert (await user_row(visitor.system, "vi@example.com"))["tfa_secret"] is None


async def test_the_password_is_needed_and_is_not_in_the_page(visitor):
    await sign_in(visitor, "vi")
    page = await visitor.submit(await visitor.get("/account/two-factor"), {"password": "wrong"})

    assert page.status == 400
    assert page.errors[0].startswith("Password: The password is wrong.")
    assert "svg" not in page.response.text.split("<main")[1]
    assert PASSWORD not in (await start_setup(visitor)).response.text


async def test_a_malformed_secret_is_rejected(visitor):
    await sign_in(visitor, "vi")

    for secret in ("", "short", "<script>", base64.b32encode(b"x" * 200).decode()):
        page = await visitor.post("/account/two-factor/enable", {"secret": secret, "otp": "123456"})
        assert page.status == 400
        assert "<script>" not in page.response.text


async def test_the_page_with_the_secret_and_that_with_the_codes_are_not_stored_and_have_no_styles(visitor, clock):
    await sign_in(visitor, "vi")
    setup = await start_setup(visitor)
    codes = await visitor.submit(setup, {"otp": clock.code(secret_of(setup))})

    for page in (setup, codes):
        assert page.response.headers["cache-control"] == "no-store"
        assert page.html.find_all(style=True) == []
    assert codes.text_at("#recovery-codes").split()[0] in codes.attribute_at("a[download]", "href")


async def test_new_recovery_codes_need_a_code_and_replace_the_others(visitor, clock):
    await sign_in(visitor, "ed", otp=clock.code(SECRET))
    clock.advance()
    form = await visitor.get("/account/two-factor")
    wrong = await visitor.submit(form, {"otp": "000000"}, "/account/two-factor/recovery-codes")
    assert wrong.status == 400
    assert wrong.attribute_at("#field-otp", "aria-invalid") == "true"

    page = await visitor.submit(form, {"otp": clock.code(SECRET)}, "/account/two-factor/recovery-codes")

    recovery = page.text_at("#recovery-codes").split()
    disabled = await visitor.submit(form, {"disable_otp": recovery[3]}, "/account/two-factor/disable")
    assert disabled.location == "/admin/account/two-factor?notice=two-factor-disabled"
    assert (await user_row(visitor.system, "ed@example.com"))["tfa_secret"] is None


async def test_disabling_needs_a_code(visitor, clock):
    await sign_in(visitor, "ed", otp=clock.code(SECRET))
    form = await visitor.get("/account/two-factor")

    page = await visitor.submit(form, {"disable_otp": "000000"}, "/account/two-factor/disable")

    assert page.status == 400
    assert page.attribute_at("#field-disable_otp", "aria-invalid") == "true"
    assert page.html.select_one("#field-otp[aria-invalid]") is None
    assert (await user_row(visitor.system, "ed@example.com"))["tfa_secret"] == SECRET


async def test_signing_in_with_a_dead_or_foreign_session_cookie_works(visitor, clock):
    visitor.cookies = {"directus_session_token": "no.valid.token"}
    page = await sign_in(visitor, "vi")
    assert page.location == "/admin"
    again = await sign_in(visitor, "ed", otp=clock.code(SECRET))
    assert again.location == "/admin"
    assert (await visitor.get("/account")).text_at(".account-name") == "Ed Edelman"
