"""Rules of the project settings."""

from app.query.collection import SETTINGS
from app.repositories.engine.collection_rules import CollectionRules
from app.repositories.engine.context import RowValues, WriteContext
from app.repositories.rules.stored_filters import check_email_filter, check_filter_sizes
from app.repositories.rules.stored_regexes import check_regexes

REGISTRATION, REGISTRATION_ROLE, *REGISTRATION_CONDITIONS = (
    SETTINGS.fields[f"public_registration{suffix}"] for suffix in ("", "_role", "_verify_email", "_email_filter")
)
REGISTRATION_FIELDS = {REGISTRATION, REGISTRATION_ROLE, *REGISTRATION_CONDITIONS}


class SettingsRules(CollectionRules):
    """Rules of the project settings.

    Regular expressions are valid. A caller who sets the registration role, or changes who can register with it, must
    hold all its rights.
    """

    async def before_create(self, work: WriteContext, values: RowValues) -> None:
        await self._check(work, values, values)

    async def before_update(self, work: WriteContext, row: RowValues, values: RowValues) -> None:
        changed = {field: value for field, value in values.items() if row[field] != value}
        await self._check(work, changed, {**row, **changed})

    async def _check(self, work: WriteContext, changed: RowValues, values: RowValues) -> None:
        role = values.get(REGISTRATION_ROLE)
        is_usable = REGISTRATION_ROLE in changed or values.get(REGISTRATION)
        if role is not None and is_usable and REGISTRATION_FIELDS & changed.keys():
            work.affected.registration_roles.add(role)
        check_filter_sizes(work, changed)
        check_email_filter(work, changed)
        await check_regexes(work, changed)
