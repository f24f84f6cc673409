"""The endpoints that explain access, find who has it, and simulate changes of it."""

from dataclasses import replace

from app.flows.access.explanation import AccessExplainer, AccessQuestion
from app.flows.access.simulated_changes import parse_changes
from app.flows.access.simulation import AccessSimulation
from app.flows.access.who_can import AccessHolders, HoldersQuestion
from app.flows.tfa_policy import FlowOperation
from app.http.authentication import Authenticator
from app.http.flow_endpoint import FlowEndpoint, FlowRequest, FlowRoute, FlowRoutes
from app.http.response import Response, data_response
from app.openapi.request_bodies import ACCESS_QUESTION, HOLDERS_QUESTION, SIMULATED_CHANGES
from app.repositories.services import Services

EXPLAIN, SIMULATE, WHO_CAN = "/access/explain", "/access/simulate", "/access/who-can"
"""Paths of this endpoint."""


def access_endpoint(services: Services, authenticator: Authenticator) -> FlowEndpoint:
    """Return the endpoint behind these paths."""
    return FlowEndpoint(services, authenticator, ROUTES)


async def _explain(request: FlowRequest) -> Response:
    """Explain why a user may or may not do something: to admins for every user, to others for themselves."""
    question = AccessQuestion(**await request.read(ACCESS_QUESTION))
    explanation = await AccessExplainer(request.directory).explain(question)
    return replace(data_response(explanation.as_dict()), no_store=True)


async def _simulate(request: FlowRequest) -> Response:
    """Return what changes would do to everyone's access: to admins, and without writing them."""
    body = await request.read(SIMULATED_CHANGES)
    changes = parse_changes(body["changes"])
    report = await AccessSimulation(request.directory).run(changes, body.get("ip"))
    return replace(data_response(report.as_dict()), no_store=True)


async def _who_can(request: FlowRequest) -> Response:
    """Return who may do something: to admins."""
    question = HoldersQuestion(**await request.read(HOLDERS_QUESTION))
    holders = await AccessHolders(request.directory).find(question)
    return replace(data_response(holders.as_dict()), no_store=True)


ROUTES: FlowRoutes = {
    ("POST", EXPLAIN): FlowRoute(FlowOperation.EXPLAIN_ACCESS, _explain),
    ("POST", SIMULATE): FlowRoute(FlowOperation.SIMULATE_ACCESS, _simulate),
    ("POST", WHO_CAN): FlowRoute(FlowOperation.FIND_WHO_CAN, _who_can),
}
