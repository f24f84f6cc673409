"""The page about LDAP: its configuration signs a user in with a real directory."""

import json

from app.core.auth_providers import load_providers
from tests.http.clients import data_of, send
from tests.ldap import slapd
from tests.ldap.conftest import PUBLIC_URL
from tests.readme.pages import page, snippets
from tests.single_sign_on.conftest import row_of

PAGE = page("operations/ldap.md")


async def test_the_first_example_signs_a_user_in(directory, serve):
    example = dict(line.split("=", 1) for line in snippets("ini", PAGE)[0].splitlines())
    local = {
        "AUTH_OFFICE_CLIENT_URL": directory.tls_url,
        "AUTH_OFFICE_CLIENT__TLS_OPTIONS__CA_FILE": str(directory.ca),
        "AUTH_OFFICE_BIND_PASSWORD": slapd.BIND_PASSWORD,
    }
    providers = load_providers([example["AUTH_PROVIDERS"]], {**example, **local})
    server = await serve({"public_url": PUBLIC_URL, "auth_providers": providers})
    (request,) = snippets("json", PAGE)
    body = {**json.loads(request), "password": slapd.PASSWORD}
    data_of(await send(server.client, "POST", "/auth/login/office", body))

    assert (await row_of(server.system, slapd.KIM))["role"] is not None


def test_the_limit_of_the_page_is_that_of_the_tested_directory():
    (line,) = snippets("text", PAGE)

    assert line.strip() in slapd.CONFIGURATION
