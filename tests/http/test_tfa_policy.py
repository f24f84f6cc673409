"""Before two-factor authentication is set up, REST and GraphQL allow the same operations."""

import pytest_asyncio

from app.core.errors import TwoFactorSetupRequired
from app.flows.tfa_policy import OPERATIONS_BEFORE_TFA, FlowOperation
from app.graphql.documents.tfa_enrollment import OPERATION_OF_FIELD
from app.http.endpoints import access, account, account_security, auth
from tests.base_data import uid
from tests.flows.clock import HASHED, AccountHarness, FrozenClock
from tests.http.test_graphql import PATH, bearer, served

SERVER_PATHS = {
    ("GET", "/server/ping"): FlowOperation.PING,
    ("GET", "/server/info"): FlowOperation.SERVER_INFO,
    ("GET", "/server/health"): FlowOperation.SERVER_HEALTH,
    ("GET", "/server/specs/graphql"): FlowOperation.GRAPHQL_SDL,
    ("GET", "/server/specs/graphql/system"): FlowOperation.GRAPHQL_SDL,
    ("GET", "/server/specs/oas"): FlowOperation.OPENAPI_DOCUMENT,
}
FLOW_ROUTES = {**auth.ROUTES, **auth.LOGIN_ROUTE, **account.ROUTES, **access.ROUTES}
OPERATION_OF_PATH = {
    **SERVER_PATHS,
    **{route: operation for route, (operation, _) in FLOW_ROUTES.items()},
    ("GET", "/auth/login/company"): FlowOperation.LOGIN_WITH_PROVIDER,
    **{
        (method, f"/users/me/{path}"): operation
        for (method, path), (operation, _) in account_security.TFA_ROUTES.items()
    },
}
REST_ONLY = {FlowOperation.LIST_AUTH_PROVIDERS, FlowOperation.LOGIN_WITH_PROVIDER}
REFUSAL = {"errors": [TwoFactorSetupRequired().as_dict()]}


@pytest_asyncio.fixture
async def pending(inviters):
    """A client, and the headers of a caller who has to set up two-factor authentication first."""
    accounts = AccountHarness(inviters, FrozenClock())
    await accounts.update_user("ed", password=HASHED, tfa_secret=None)
    await inviters.load({"directus_policies": [{"id": uid("policy-Editors"), "enforce_tfa": True}]})
    async with served(inviters.settings, accounts.clock) as client:
        yield client, bearer((await accounts.login("ed")).access)


def test_both_entry_points_name_every_operation():
    assert set(OPERATION_OF_PATH.values()) == set(FlowOperation)
    assert set(OPERATION_OF_FIELD.values()) == set(FlowOperation) - REST_ONLY


async def test_both_entry_points_allow_the_same_operations(pending):
    client, headers = pending
    allowed_by_rest, allowed_by_graphql = set(), set()
    for (method, path), operation in OPERATION_OF_PATH.items():
        if method != "HEAD" and not is_refused(await client.request(method, path, headers=headers)):
            allowed_by_rest.add(operation)
    for field, operation in OPERATION_OF_FIELD.items():
        root_type, _, name = field.partition(".")
        body = {"query": f"{root_type.lower()} {{ {name} }}"}
        if not is_refused(await client.post(PATH, json=body, headers=headers)):
            allowed_by_graphql.add(operation)

    assert allowed_by_rest == OPERATIONS_BEFORE_TFA
    assert allowed_by_graphql == OPERATIONS_BEFORE_TFA - REST_ONLY


def is_refused(response):
    return response.headers["content-type"].startswith("application/json") and response.json() == REFUSAL
