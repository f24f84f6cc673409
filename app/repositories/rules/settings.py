"""Rules of the project settings."""

from app.core.errors import InvalidPayload
from app.query.collection import SETTINGS
from app.query.operators import compile_pattern
from app.repositories.engine.collection_rules import CollectionRules
from app.repositories.engine.context import RowValues, WriteContext

PASSWORD_POLICY, REGISTRATION_ROLE = (
    SETTINGS.fields[name] for name in ("auth_password_policy", "public_registration_role")
)


class SettingsRules(CollectionRules):
    """Rules of the project settings.

    The password policy must be a regular expression, and the author of a registration role must hold all its rights.
    """

    async def before_create(self, work: WriteContext, values: RowValues) -> None:
        self._check(work, values)

    async def before_update(self, work: WriteContext, row: RowValues, values: RowValues) -> None:
        self._check(work, {field: value for field, value in values.items() if row[field] != value})

    def _check(self, work: WriteContext, values: RowValues) -> None:
        if values.get(REGISTRATION_ROLE):
            work.affected.roles.add(values[REGISTRATION_ROLE])
        if values.get(PASSWORD_POLICY):
            try:
                compile_pattern(values[PASSWORD_POLICY])
            except ValueError as error:
                raise InvalidPayload(f'"{PASSWORD_POLICY.name}": {error}, such as /^.{{8,}}$/') from None
