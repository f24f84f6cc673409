"""The endpoint that explains access."""

from dataclasses import replace

from app.flows.access_explanation import AccessExplainer, AccessQuestion
from app.flows.tfa_policy import FlowOperation
from app.http.authentication import Authenticator
from app.http.flow_endpoint import FlowEndpoint, FlowRequest, FlowRoute, FlowRoutes
from app.http.response import Response, data_response
from app.openapi.request_bodies import ACCESS_QUESTION
from app.repositories.services import Services

ROOT = "/access/explain"
"""Path of this endpoint."""


def access_endpoint(services: Services, authenticator: Authenticator) -> FlowEndpoint:
    """Return the endpoint behind `ROOT`."""
    return FlowEndpoint(services, authenticator, ROUTES)


async def _explain(request: FlowRequest) -> Response:
    """Explain why a user may or may not do something: to admins for every user, to others for themselves."""
    question = AccessQuestion(**await request.read(ACCESS_QUESTION))
    explanation = await AccessExplainer(request.directory).explain(question)
    return replace(data_response(explanation.as_dict()), no_store=True)


ROUTES: FlowRoutes = {("POST", ROOT): FlowRoute(FlowOperation.EXPLAIN_ACCESS, _explain)}
