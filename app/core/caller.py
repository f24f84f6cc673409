"""The caller of a request, as the request's credentials claim it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, NamedTuple


class Caller(NamedTuple):
    """The claimed identity of a caller. It grants nothing: the caller's rights are read with every statement.

    At most one of `user` (an id from a signed token, with that token's `session`, if any), `token` (a static token) and
    `api_token` (the hash of an API token) is set; without any the caller is anonymous. `ip` is the client's address as
    the trusted proxies report it.
    `tfa_setup_required` means that the token demands setting up two-factor authentication before anything else.
    `system` marks trusted code, which may read and write everything; no request can set it. The audit log names the
    `user` that such code acts for, if any.
    """

    user: str | None = None
    session: str | None = None
    token: str | None = None
    ip: str | None = None
    tfa_setup_required: bool = False
    system: bool = False
    api_token: str | None = None

    def __repr__(self) -> str:
        """Return all fields except those that can be used to sign in."""
        fields = f"user={self.user!r}, ip={self.ip!r}, tfa_setup_required={self.tfa_setup_required}"
        return f"Caller({fields}, system={self.system})"

    @property
    def anonymous(self) -> bool:
        """Whether the caller is neither a user nor trusted code."""
        return self.user is None and self.token is None and self.api_token is None and not self.system


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """What a request says about its client. It is recorded with the changes the request makes, and never trusted."""

    user_agent: str | None = None
    origin: str | None = None
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ResponseCookie:
    """A cookie that a response sets or deletes.

    `kind` says which cookie; a `value` of None deletes it. `name` is that of the cookie of a sign-in with a provider;
    the names of the others are settings.
    """

    kind: Literal["refresh", "session", "sign_in"]
    value: str | None = field(default=None, repr=False)
    ttl: timedelta = timedelta(0)
    name: str = ""


ClientInfoFactory = Callable[[], ClientInfo]
"""Returns a request's client info; called only if it is needed."""


def no_client_info() -> ClientInfo:
    """Return the client info of code that runs without a request."""
    return ClientInfo()


PUBLIC = Caller()
SYSTEM = Caller(system=True)


def on_behalf_of(user: str | None, caller: Caller) -> Caller:
    """Return a system caller that acts for a user after a check of its own, such as a verified link.

    The audit log names that user and the IP address of `caller`.
    """
    return Caller(user=user, ip=caller.ip, system=True)
