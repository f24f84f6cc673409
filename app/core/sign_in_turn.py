"""Lets the operation of a request that turns out to be a sign-in wait among the sign-ins, not among all requests."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar, runtime_checkable

from app.core.logging import current_request

T = TypeVar("T")


@runtime_checkable
class SignInRequest(Protocol):
    """A request that can take a turn among the sign-ins."""

    def sign_in_turn(self, *, is_last: bool) -> AbstractAsyncContextManager[None]:
        """Return the turn of an operation; `is_last` says that nothing else follows in its request."""
        ...


async def run_as_sign_in(operation: Callable[[], Awaitable[T]], *, is_last: bool) -> T:
    """Return what a sign-in returns, or raise what it raises, once it is its turn among the sign-ins.

    Raises:
        ServiceUnavailable: Too many others are waiting, or this one has waited too long.
    """
    request = current_request.get()
    if not isinstance(request, SignInRequest):
        return await operation()
    async with request.sign_in_turn(is_last=is_last):
        return await operation()
