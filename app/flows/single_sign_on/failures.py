"""What a failed sign-in is to the client, and what the log says of it: never a secret, and no personal data."""

import structlog

from app.core.errors import InvalidCredentials, InvalidToken, RollcallError, ServiceUnavailable
from app.core.provider_settings import ProviderSettings
from app.identity_providers.base import GrantRejected, ProviderError, ProviderUnavailable

log = structlog.get_logger(__name__)


def refused(settings: ProviderSettings, reason: str, **details: str) -> InvalidCredentials:
    """Log why a sign-in is refused, and return the error for the client, which does not say it."""
    log.warning("provider_sign_in_refused", provider=settings.name, reason=reason, **details)
    return InvalidCredentials()


def provider_failure(settings: ProviderSettings, error: ProviderError) -> RollcallError:
    """Log why a provider failed, and return what the client may know."""
    log.warning("provider_failed", provider=settings.name, reason=str(error))
    if isinstance(error, GrantRejected):
        return InvalidToken()
    if isinstance(error, ProviderUnavailable):
        return ServiceUnavailable(f'The authentication provider "{settings.name}" did not respond as expected')
    return InvalidCredentials()
