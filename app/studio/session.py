"""The session of a page: who sent its cookie, and its renewal while the user is active."""

from copy import copy
from datetime import timedelta

from app.core.config import signing_secret
from app.core.errors import RollcallError
from app.core.tokens import verify_access_token
from app.flows.session import SessionService
from app.flows.tokens import TokenMode
from app.http.request_head import RequestHead
from app.repositories.directory import Directory

RENEW_AFTER = 0.5
"""Part of its lifetime after which a session is renewed by the next page."""


def cookie_only(head: RequestHead) -> RequestHead:
    """Return the head of a request with its cookie as the only credentials.

    A link with `?access_token=` would otherwise make the visitor act as another user.
    """
    bare = copy(head)
    bare.authorization = bare.query = b""
    return bare


def anonymous(head: RequestHead) -> RequestHead:
    """Return the head of a request without any credentials."""
    bare = cookie_only(head)
    bare.cookie = b""
    return bare


async def renew_session(directory: Directory) -> None:
    """Renew the session if half of its lifetime has passed, and set the new cookie in the response.

    The old token stays valid for the grace period, so pages that other tabs load at the same time are not signed out.
    """
    settings = directory.services.settings
    token = directory.client_info().cookies.get(settings.session_cookie_name)
    if directory.caller.session is None or not token:
        return
    try:
        expires = verify_access_token(token, signing_secret(settings)).expires
        remaining = timedelta(seconds=expires - directory.services.clock().timestamp())
        if remaining < settings.session_cookie_ttl * RENEW_AFTER:
            tokens = await SessionService(directory).refresh(None, TokenMode.SESSION)
            directory.response_cookies += tokens.cookies
    except RollcallError:  # the session is still valid: the next page tries again
        return
