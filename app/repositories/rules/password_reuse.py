"""Compares a password that a user chooses for the own account with the user's last ones (PASSWORD_HISTORY).

Only the own password is compared: with another user's, one would learn which passwords that user had. The
comparison takes long, so it happens before the transaction, and its result is an error that the transaction raises
last, after all else has succeeded: a request that fails anyway, sent to guess a password, gets the same response and
takes as long for a right guess as for a wrong one.
"""

import asyncio
from typing import Self

from app.core.errors import FailedValidation, ServiceUnavailable
from app.core.request_budget import RequestBudget
from app.passwords.hasher_pool import HashedPassword
from app.query.payload import FieldPath
from app.repositories.engine.context import WriteContext
from app.repositories.services import Services
from app.repositories.stores.password_history import read_password_hashes

CHANGED_MEANWHILE = "The password was changed by another request meanwhile; try again"


class ComparedPassword(HashedPassword):
    """A hashed new password that was compared with the last ones of its user."""

    replaced: str | None
    """The hash of the password that it replaces, with which it was compared."""
    error: FailedValidation | None
    """Why it is rejected, if it is one of the last passwords."""

    @classmethod
    def of(cls, hashed: str, replaced: str | None, error: FailedValidation | None) -> Self:
        """Return a hash with the result of the comparison."""
        value = cls(hashed)
        value.replaced, value.error = replaced, error
        return value


async def compare_password(
    password: str, user: str, services: Services, budget: RequestBudget, path: FieldPath
) -> ComparedPassword:
    """Hash a new password of a user, and compare it with the last ones. It takes as long whichever of them it equals.

    Raises:
        InvalidPayload: The request has caused too many comparisons.
    """
    count = services.settings.password_history
    current, former = await read_password_hashes(services, user, count - 1)
    last = [hashed for hashed in (current, *former) if hashed is not None]
    budget.spend_comparisons(len(last))
    matches = await asyncio.gather(*(services.passwords.verify(password, hashed) for hashed in last))
    error = FailedValidation("password", "history", path, valid=count) if any(matches) else None
    return ComparedPassword.of(await services.passwords.hash(password), current, error)


def note_comparison(work: WriteContext, stored: str | None, password: str | None) -> None:
    """Note the result of the comparison of a new password, which may be any other one, for the end of the transaction.

    Raises:
        ServiceUnavailable: The stored password is not the one that the new one was compared with.
    """
    if not isinstance(password, ComparedPassword):
        return
    if password.replaced != stored:
        raise ServiceUnavailable(CHANGED_MEANWHILE)
    work.last_error = work.last_error or password.error
