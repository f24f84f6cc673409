"""The fields that store filters: their size is limited like that of a query's filter, and payloads must decide them."""

from app.core.errors import InvalidPayload, InvalidQuery
from app.policy.rules import READ
from app.query.collection import PERMISSIONS, SETTINGS, USERS, Collection, Field
from app.query.filter import NoPayloadFilter, UnknownField, parse_filter
from app.repositories.engine.context import RowValues, WriteContext

VALIDATION, EMAIL_FILTER = PERMISSIONS.fields["validation"], SETTINGS.fields["public_registration_email_filter"]
FILTER_FIELDS = (PERMISSIONS.fields["permissions"], VALIDATION, EMAIL_FILTER)
COLLECTION, ACTION = PERMISSIONS.fields["collection"], PERMISSIONS.fields["action"]


def check_filter_sizes(work: WriteContext, values: RowValues) -> None:
    """Raise InvalidPayload if a written filter is larger than the limits: it would grant nothing."""
    for field in FILTER_FIELDS:
        try:
            work.services.limits.size_counter().add_filter(values.get(field))
        except InvalidQuery as error:
            raise InvalidPayload(f'"{field.name}": {error.reason}') from None


def check_validation(work: WriteContext, values: RowValues) -> None:
    """Raise InvalidPayload if the validation of a permission, given with all its values, asks for unwritten values."""
    if values.get(ACTION) != READ:
        _check_payload_filter(work.services.registry.get(values.get(COLLECTION, "")), VALIDATION, values)


def check_email_filter(work: WriteContext, values: RowValues) -> None:
    """Raise InvalidPayload if the registration filter asks for more than the written values of a user."""
    _check_payload_filter(work.services.registry.own(USERS), EMAIL_FILTER, values)


def _check_payload_filter(collection: Collection | None, field: Field, values: RowValues) -> None:
    if collection is None or not values.get(field):
        return
    try:
        parse_filter(collection, values[field], stored=True, for_payload=True)
    except NoPayloadFilter as error:
        raise InvalidPayload(f'"{field.name}": {error.reason}') from None
    except (InvalidQuery, UnknownField):
        return  # grants nothing, and is logged, once it is read
