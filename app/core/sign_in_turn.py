"""Lets the operation of a request that turns out to be a sign-in wait among the sign-ins, not among all requests."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from typing import Protocol, TypeVar

T = TypeVar("T")


class SignInTurn(Protocol):
    """Takes a turn among the sign-ins for a request."""

    def __call__(self, *, is_last: bool) -> AbstractAsyncContextManager[None]:
        """Return the turn of an operation; `is_last` says that nothing else follows in its request."""
        ...


current_sign_in_turn: ContextVar[SignInTurn | None] = ContextVar("sign_in_turn", default=None)
"""How the request that is being handled takes a turn among the sign-ins; None outside of a request."""


async def run_as_sign_in(operation: Callable[[], Awaitable[T]], *, is_last: bool) -> T:
    """Return what a sign-in returns, or raise what it raises, once it is its turn among the sign-ins.

    Raises:
        ServiceUnavailable: Too many others are waiting, or this one has waited too long.
    """
    take_turn = current_sign_in_turn.get()
    if take_turn is None:
        return await operation()
    async with take_turn(is_last=is_last):
        return await operation()
