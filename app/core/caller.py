"""Who is asking, as the request claims it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, NamedTuple


class Caller(NamedTuple):
    """A claim, never yet a right: what it is worth is read from the database with every statement.

    At most one of `user` (an id out of a signed token, with the `session` that token belongs to, if any) and
    `token` (a static token) is set; with neither the caller is anonymous. `ip` is the client's address as the
    trusted proxies tell it. `enrolling` is somebody whose token says that a second factor has to be set up first.
    `system` marks trusted code: it sees and may do everything, and no request can set it; the `user` it acts for, if
    any, is who the trail names.
    """

    user: str | None = None
    session: str | None = None
    token: str | None = None
    ip: str | None = None
    tfa_setup_required: bool = False
    system: bool = False

    def __repr__(self) -> str:
        """Everything but what somebody could sign in with."""
        told = f"user={self.user!r}, ip={self.ip!r}, tfa_setup_required={self.tfa_setup_required}, system={self.system}"
        return f"Caller({told})"

    @property
    def anonymous(self) -> bool:
        """Whether nobody in particular asks."""
        return self.user is None and self.token is None and not self.system


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """What a request says of the program it comes from; written down with what it changes, and never believed."""

    user_agent: str | None = None
    origin: str | None = None
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ResponseCookie:
    """What an answer hands to its caller beside what it tells: a session's token, or that there is none any more.

    `kind` says in which of the two cookies; `value` is None where it is to go.
    """

    kind: Literal["refresh", "session"]
    value: str | None = field(default=None, repr=False)
    ttl: timedelta = timedelta(0)


ClientInfoFactory = Callable[[], ClientInfo]
"""Finds out, once that is wanted, where a request came from."""


def no_client_info() -> ClientInfo:
    """Where code of our own comes from."""
    return ClientInfo()


PUBLIC = Caller()
SYSTEM = Caller(system=True)


def on_behalf_of(user: str | None, caller: Caller) -> Caller:
    """Trusted code that does for somebody what it has been proved to; the trail names that user, and where they are."""
    return Caller(user=user, ip=caller.ip, system=True)
