"""The response that carries the tokens of a session."""

from typing import Any

from app.flows.tokens import Tokens
from app.http.response import Response, data_response
from app.repositories.directory import Directory


def tokens_response(directory: Directory, tokens: Tokens) -> Response:
    """Return the tokens of a response body, and set the cookies."""
    directory.response_cookies += tokens.cookies
    data: dict[str, Any] = {"expires": round(tokens.expires.total_seconds() * 1000)}
    if tokens.refresh is not None:
        data["refresh_token"] = tokens.refresh
    if tokens.access is not None:
        data["access_token"] = tokens.access
    return data_response(data)
