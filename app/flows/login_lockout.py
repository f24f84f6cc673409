"""The limit on failed logins: counts attempts, delays them, and locks a client's network out of an account."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from app.db.transaction import WriteTransaction
from app.repositories.commands.accounts import AccountStore
from app.repositories.directory import Directory
from app.repositories.stores.login_attempts import AttemptCounter, account_and_network_key, account_key

MAX_DELAY = timedelta(seconds=5)
DELAY_PER_FAILURE = timedelta(milliseconds=250)
"""Delay of an attempt for each failure beyond the allowed number."""


class LoginLockout:
    """Counts the logins of one client by account: an email address, or the identifier of a user at a provider."""

    def __init__(self, directory: Directory) -> None:
        services = directory.services
        self._ip, self._accounts = directory.caller.ip, AccountStore(services)
        self._attempts = AttemptCounter(services, "login", services.settings.login_lockout_ttl)

    async def count_attempt(self, account: str, record_lockout: Callable[[], Awaitable[None]]) -> bool:
        """Count an attempt, delay it if the account has many, and return whether the client's IP is locked out.

        `record_lockout` is called for the attempt with which a lockout begins.
        """
        allowed = await self._accounts.max_failed_logins()
        network_key = account_and_network_key(account, self._ip)
        from_network, total = await self._attempts.count(network_key, account_key(account))
        if allowed is None:
            return False
        if from_network == allowed + 1:
            await record_lockout()
        delay = min(DELAY_PER_FAILURE * max(0, total - allowed), MAX_DELAY)
        await asyncio.sleep(delay.total_seconds())
        return from_network > allowed

    async def reset(self, writer: WriteTransaction, account: str) -> None:
        """Reset the failure counts of an account, those of the client's IP and of all IPs."""
        await self._attempts.reset(writer, account_and_network_key(account, self._ip), account_key(account))
