"""Who is asking, as the request claims it."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Caller:
    """A claim, never yet a right: what it is worth is read from the database with every statement.

    At most one of `user` (an id out of a signed token, with the `session` that token belongs to, if any) and
    `token` (a static token) is set; with neither the caller is anonymous. `ip` is the client's address as the
    trusted proxies tell it. `system` marks trusted code: it sees and may do everything, and no request can set it.
    """

    user: str | None = None
    session: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    ip: str | None = None
    system: bool = False

    @property
    def anonymous(self) -> bool:
        """Whether nobody in particular asks."""
        return self.user is None and self.token is None and not self.system


@dataclass(frozen=True, slots=True)
class Via:
    """What a request says of the program it comes from; written down with what it changes, and never believed."""

    user_agent: str | None = None
    origin: str | None = None


Whence = Callable[[], Via]
"""Finds out, once that is wanted, where a request came from."""


def nowhere() -> Via:
    """Where code of our own comes from."""
    return Via()


PUBLIC = Caller()
SYSTEM = Caller(system=True)
