"""Rules of the project settings."""

from app.query.collection import SETTINGS
from app.repositories.engine.collection_rules import CollectionRules
from app.repositories.engine.context import RowValues, WriteContext
from app.repositories.rules.stored_filters import check_filter_sizes
from app.repositories.rules.stored_regexes import check_regexes

REGISTRATION_ROLE = SETTINGS.fields["public_registration_role"]


class SettingsRules(CollectionRules):
    """Rules of the project settings.

    Regular expressions are valid, and the author of a registration role must hold all its rights.
    """

    async def before_create(self, work: WriteContext, values: RowValues) -> None:
        await self._check(work, values)

    async def before_update(self, work: WriteContext, row: RowValues, values: RowValues) -> None:
        await self._check(work, {field: value for field, value in values.items() if row[field] != value})

    async def _check(self, work: WriteContext, values: RowValues) -> None:
        if values.get(REGISTRATION_ROLE):
            work.affected.roles.add(values[REGISTRATION_ROLE])
        check_filter_sizes(work, values)
        await check_regexes(work, values)
