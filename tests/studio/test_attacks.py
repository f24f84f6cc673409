"""What attackers and broken clients send: no page fails, leads elsewhere, or says more than its caller may know."""

import pytest
from sqlalchemy import delete, update

from app.db.models import Permission, User
from app.studio.addresses import Addresses
from tests.base_data import uid
from tests.http.test_graphql import served
from tests.studio.grants import grant
from tests.studio.pages import StudioClient

HTML = {"accept": "text/html,application/xhtml+xml", "accept-language": "de"}
MANY_DIGITS = "9" * 5_000
HALF_A_CHARACTER = '{"\\ud800": {"_eq": 1}}'
PERMISSION = f"/policies/{uid('policy-Staff')}/directus_users/read"


@pytest.mark.parametrize(
    "path",
    [
        f"/roles/{uid('role-Editor')}?page={MANY_DIGITS}",
        f"/policies/{uid('policy-Staff')}?page={MANY_DIGITS}",
        f"/policies?page={MANY_DIGITS}",
        f"/users?page={MANY_DIGITS}&size={MANY_DIGITS}",
        "/users?page=-1&sort=password&columns=tfa_secret&status=%ff",
    ],
)
async def test_lists_ignore_parameters_that_they_cannot_follow(ada, path):
    assert (await ada.get(path)).status == 200


@pytest.mark.parametrize("text", [HALF_A_CHARACTER, '{"email": ' + MANY_DIGITS + "}", '{"email": NaN}', "[" * 3_000])
@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/settings", "public_registration_email_filter"),
        (PERMISSION, "permissions"),
        (f"{PERMISSION}/preview", "permissions"),
    ],
)
async def test_forms_reject_json_that_cannot_be_stored(ada, path, field, text):
    page = await ada.post(path, {field: text, "project_color": "#6644ff", "fields": "*"})

    assert page.status == 422
    assert page.html.find(id=f"error-{field}")


async def test_a_path_cannot_add_headers_to_a_redirect(ada):
    path = "/users/x%0D%0ASet-Cookie:%20a=b/policies/remove"
    page = await ada.post(path, {"access": uid("access-Staff-Staff-None")})

    assert page.status == 303
    assert page.location == "/admin/users/x%0D%0Aset-cookie%3A%20a%3Db?notice=policy-removed"


async def test_a_path_outside_of_latin_1_leads_back_to_itself(ada):
    page = await ada.post("/policies/%E2%82%AC/detach", {"access": uid("access-Staff-Staff-None")})

    assert page.location == "/admin/policies/%E2%82%AC?notice=policy-detached"


@pytest.mark.parametrize("prefix", ["", "/directory"])
@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "/admin//evil.example",
        "/admin\\evil.example",
        "/admin/../other",
        "/admin/%2e%2E/other",
        "/admin/x/..%2f../other",
        "/adminx",
        "https://evil.example/admin",
        "/admin/\tusers",
    ],
)
def test_a_client_is_led_to_pages_of_the_studio_only(members, prefix, target):
    addresses = Addresses(members.settings.model_copy(update={"public_url": f"https://rollcall.example{prefix}"}))

    assert addresses.checked(prefix + target) == f"{prefix}/admin"
    assert addresses.checked(f"{prefix}/admin/users?search=..") == f"{prefix}/admin/users?search=.."


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["", "/users", "/sign-in"])
async def test_pages_name_the_methods_they_have(ada, method, path):
    response = (await ada._send(method, path, {})).response

    assert response.status_code == 405
    assert "GET" in response.headers["allow"]


async def test_static_files_are_only_read(ada):
    sheet = str((await ada.get("/sign-in")).html.select_one("link[rel=stylesheet]")["href"]).removeprefix("/admin")

    assert (await ada._send("HEAD", sheet, {})).status == 200
    assert (await ada.post(sheet)).status == 405


async def test_an_unknown_page_is_reported_in_the_language_of_its_user(ada, members):
    async with members.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("ada")).values(language="de-DE"))
    page = await ada.get("/nowhere", {"accept-language": "en"})

    assert page.status == 404
    assert page.html.html["lang"] == "de"
    assert page.has_link("/admin/users")


async def test_errors_before_the_studio_are_pages_for_browsers(members):
    limits = {"rate_limiter_enabled": True, "rate_limiter_points": 2, "rate_limiter_duration": 60}
    async with served(members.settings.model_copy(update=limits)) as client:
        pages = [await client.get("/admin/sign-in", headers=HTML) for _ in range(3)]
        others = [
            await client.get("/admin/sign-in"),
            await client.get("/users", headers=HTML),
        ]

    assert pages[1].status_code == 200
    assert pages[2].status_code == 429
    assert pages[2].headers["content-type"] == "text/html; charset=utf-8"
    assert pages[2].headers["cache-control"] == "no-store"
    assert int(pages[2].headers["retry-after"]) > 0
    assert "Zu viele Anfragen" in pages[2].text
    assert all(other.headers["content-type"].startswith("application/json") for other in others)


async def test_a_form_of_another_site_gets_a_page(ada):
    page = await ada._send("POST", "/users/bulk", {"origin": "https://evil.example", **HTML}, b"ids=1")

    assert page.status == 403
    assert page.html.html["lang"] == "de"


async def test_without_the_studio_browsers_get_json_too(members):
    async with served(members.settings.model_copy(update={"studio": False})) as client:
        response = await client.get("/admin", headers=HTML)

    assert response.headers["content-type"].startswith("application/json")


async def test_a_body_that_is_too_large_gets_a_page(ada):
    size = ada.settings.max_payload_size + 1
    page = await ada._send("POST", "/sign-in", {"origin": "http://rollcall", **HTML}, b"a" * size)

    assert page.status == 400
    assert page.response.headers["content-type"].startswith("text/html")


async def test_pages_need_no_field_that_the_caller_cannot_read(vi, members):
    await grant(members, "read", "activity", "id,item")
    await grant(members, "read", "policies", "name,description")
    await grant(members, "read", "access", "policy,role,user")
    navigation = (await vi.get("/activity")).html.nav

    assert (await vi.get("/activity")).status == 200
    assert not navigation.find("a", href="/admin/policies")
    for path in ("/policies", f"/policies/{uid('policy-Staff')}", PERMISSION):
        page = await vi.get(path)
        assert page.status == 403
        assert "Cannot query" not in page.text


async def test_users_without_visible_keys_are_listed(studio, members):
    await grant(members, "read", "users", "email", permissions={"email": {"_eq": "sam@example.com"}})
    await remove_permission(members, 4)
    vi = await studio.sign_in("vi")
    page = await vi.get("/users?sort=-email")

    assert page.status == 200
    assert "sam@example.com" in page.text
    assert "ada@example.com" not in page.text


async def test_the_pages_work_for_clients_of_directus_10(members):
    async with served(members.settings.model_copy(update={"compatibility": "10"})) as client:
        ada = await StudioClient(client, members).sign_in("ada")
        saved = await ada.post(PERMISSION, {"fields": ["id", "email"], "permissions": '{"status": {"_eq": "active"}}'})
        role, policy = await ada.post("/roles/new", {"name": "New"}), await ada.post("/policies/new", {"name": "New"})
        pages = [await ada.get(page.location.removeprefix("/admin")) for page in (saved, role, policy)]

    assert [page.status for page in pages] == [200, 200, 200]


async def remove_permission(system, number):
    """Take a permission from its policy without the API."""
    async with system.database.transaction() as connection:
        await connection.execute(delete(Permission).where(Permission.id == number))
