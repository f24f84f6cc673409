"""What must always hold for the project's settings, and those of them that others go by."""

from app.core.errors import InvalidPayload
from app.query.collection import SETTINGS
from app.query.operators import compile_pattern
from app.repositories.engine.collection_rules import CollectionRules
from app.repositories.engine.context import RowValues, WriteContext

POLICY, REGISTRATION_ROLE = (SETTINGS.fields[name] for name in ("auth_password_policy", "public_registration_role"))


class SettingsRules(CollectionRules):
    """A password policy can be read, and nobody has strangers registered with more rights than their own."""

    async def before_create(self, work: WriteContext, values: RowValues) -> None:
        self._check(work, values)

    async def before_update(self, work: WriteContext, row: RowValues, values: RowValues) -> None:
        self._check(work, {field: value for field, value in values.items() if row[field] != value})

    def _check(self, work: WriteContext, values: RowValues) -> None:
        if values.get(REGISTRATION_ROLE):
            work.affected.roles.add(values[REGISTRATION_ROLE])
        if values.get(POLICY):
            try:
                compile_pattern(values[POLICY])
            except ValueError as problem:
                raise InvalidPayload(f'"{POLICY.name}": {problem}, such as /^.{{8,}}$/') from None
