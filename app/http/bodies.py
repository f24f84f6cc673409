"""The body of a request for a flow, read as JSON."""

from typing import Any

from app.http.parsing import parse_json
from app.repositories.directory import Directory


def parse_json_body(raw: bytes, content_type: bytes, directory: Directory) -> Any:
    """What a body says in JSON, and an empty object where there is none; InvalidPayload where it isn't JSON.

    An empty one has to be called JSON too where one of our cookies comes along: a page of somebody else's can have a
    browser send that cookie, but not say so without being allowed to.
    """
    settings, cookies = directory.services.settings, directory.client_info().cookies
    ours = settings.session_cookie_name in cookies or settings.refresh_token_cookie_name in cookies
    if raw or content_type or ours:
        return parse_json(raw or b"{}", content_type)
    return {}
