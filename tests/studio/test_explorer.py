"""The GraphQL explorer: what the server puts into its page, for whom, and GraphiQL beside it."""

import json
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import delete

from app.db.models import Permission
from app.studio.graphiql_files import NAMES
from tests.http.test_graphql import served
from tests.studio.pages import StudioClient

DISTRIBUTION = "graphene_django_graphiql_static"


@asynccontextmanager
async def visited(members, name, **settings):
    """The Studio of a server with these settings, visited by a user."""
    async with served(members.settings.model_copy(update=settings)) as client:
        yield await StudioClient(client, members).sign_in(name)


@pytest.fixture
def graphiql(tmp_path, monkeypatch):
    """An installed distribution with GraphiQL's files, whose modules fail when they are imported."""
    package, metadata = tmp_path / DISTRIBUTION, tmp_path / f"{DISTRIBUTION}-0.8.dist-info"
    for folder in (package / "static", metadata):
        folder.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError")
    for name in NAMES:
        (package / "static" / name).write_text(f"/* {name} */")
    paths = [f"{DISTRIBUTION}/static/{name}" for name in NAMES]
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: graphene-django-graphiql-static\nVersion: 0.8\n")
    (metadata / "RECORD").write_text("".join(f"{path},,\n" for path in [*paths, f"{DISTRIBUTION}/__init__.py"]))
    monkeypatch.syspath_prepend(str(tmp_path))
    return package / "static"


def data_of(page):
    return page.html.select_one("[data-explorer]").attrs


async def test_the_explorer_is_for_signed_in_users(studio):
    page = await studio.get("/explorer")

    assert page.status == 303
    assert page.location == "/admin/sign-in?next=%2Fadmin%2Fexplorer"


async def test_without_javascript_the_page_says_that_it_needs_it(ada):
    html = (await ada.get("/explorer")).html

    assert "The explorer needs JavaScript" in html.select_one("[data-needs-javascript]").get_text()
    assert "hidden" in html.select_one("[data-explorer]").attrs


async def test_every_control_has_a_label(ada):
    html = (await ada.get("/explorer")).html
    root = html.select_one("[data-explorer]")

    for control in root.select("input, select, textarea"):
        assert html.find("label", {"for": control["id"]}), control
    for name in ("aria-controls", "aria-labelledby", "aria-describedby"):
        for element in root.find_all(attrs={name: True}):
            assert html.find(id=element[name]), element


@pytest.mark.parametrize(("name", "field"), [("ada", "last_access"), ("vi", "id")])
async def test_the_first_document_is_one_that_its_user_may_run(studio, name, field):
    visitor = await studio.sign_in(name)
    html = (await visitor.get("/explorer")).html
    body = json.dumps({"query": html.select_one("[data-document]").get_text()})
    headers = {"content-type": "application/json", "origin": "http://rollcall"}

    cookie = "; ".join(f"{key}={value}" for key, value in visitor.cookies.items())
    response = await visitor.client.post("/graphql/system", content=body, headers={**headers, "cookie": cookie})

    assert response.status_code == 200
    assert "errors" not in response.json()
    assert field in response.json()["data"]["users"][0]


async def test_a_user_who_may_read_no_users_gets_another_document(members, vi):
    async with members.database.transaction() as connection:
        await connection.execute(delete(Permission).where(Permission.collection == "directus_users"))

    html = (await vi.get("/explorer")).html

    assert html.select_one("[data-document]").get_text().strip() == "query Ping {\n  server_ping\n}"


async def test_without_introspection_the_page_says_so(members):
    async with visited(members, "ada", graphql_introspection=False) as ada:
        page = await ada.get("/explorer")

    assert data_of(page)["data-introspection"] == "false"
    assert "GRAPHQL_INTROSPECTION=false" in page.text


async def test_the_endpoint_is_below_the_path_of_a_proxy(members):
    async with visited(members, "ada", public_url="https://example.com/directory") as ada:
        page = await ada.get("/explorer")

    assert data_of(page)["data-endpoint"] == "/directory/graphql/system"


async def test_the_explorer_and_its_history_belong_to_the_user(ada, vi):
    users = [data_of(await visitor.get("/explorer"))["data-user"] for visitor in (ada, vi)]

    assert users == [ada.user, vi.user]


async def test_graphiql_is_offered_only_if_it_is_installed(ada):
    assert not (await ada.get("/explorer")).has_link("/admin/graphiql")
    assert (await ada.get("/graphiql")).status == 404


async def test_an_incomplete_distribution_counts_as_missing(members, graphiql):
    (graphiql / NAMES[0]).unlink()

    async with visited(members, "ada") as ada:
        assert (await ada.get("/graphiql")).status == 404


async def test_installed_graphiql_has_a_page_whose_files_are_stored_by_every_cache(members, graphiql):
    async with visited(members, "ada") as ada:
        assert (await ada.get("/explorer")).has_link("/admin/graphiql")
        page = await ada.get("/graphiql")
        scripts = [script["src"] for script in page.html.find_all("script")]
        links = [link["href"] for link in page.html.find_all("link")]
        files = [(await ada.get(path.removeprefix("/admin"))).response for path in scripts + links]

    assert len(scripts) == len(NAMES)
    for response in files:
        assert response.status_code == 200
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert f"/* {NAMES[0]} */" in [response.text for response in files]


async def test_only_the_page_of_graphiql_has_a_policy_without_trusted_types(members, graphiql):
    async with visited(members, "ada") as ada:
        policies = [
            (await ada.get(path)).response.headers["content-security-policy"] for path in ("/explorer", "/graphiql")
        ]

    assert "trusted-types" in policies[0]
    assert "trusted-types" not in policies[1]
    assert "script-src 'self'; style-src 'self';" in policies[1]
    assert "default-src 'none'" in policies[1]
    assert "unsafe" not in policies[1]
    assert policies[1].count("font-src") == 1


async def test_visitors_do_not_see_graphiql(members, graphiql):
    async with served(members.settings) as client:
        page = await StudioClient(client, members).get("/graphiql")

    assert page.status == 303
    assert page.location.startswith("/admin/sign-in")
