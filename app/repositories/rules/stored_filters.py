"""The fields that store filters, whose size is limited like that of a query's filter."""

from app.core.errors import InvalidPayload, InvalidQuery
from app.query.collection import PERMISSIONS, SETTINGS
from app.repositories.engine.context import RowValues, WriteContext

FILTER_FIELDS = (
    PERMISSIONS.fields["permissions"],
    PERMISSIONS.fields["validation"],
    SETTINGS.fields["public_registration_email_filter"],
)


def check_filter_sizes(work: WriteContext, values: RowValues) -> None:
    """Raise InvalidPayload if a written filter is larger than the limits: it would grant nothing."""
    for field in FILTER_FIELDS:
        try:
            work.services.limits.size_counter().add_filter(values.get(field))
        except InvalidQuery as error:
            raise InvalidPayload(f'"{field.name}": {error.reason}') from None
