"""What must always hold for the project's settings, and those of them that others go by."""

from typing import TYPE_CHECKING

from app.core.caller import SYSTEM
from app.core.errors import InvalidPayload
from app.query.collection import SETTINGS
from app.query.operators import read_pattern
from app.query.read import FieldSelection, Read
from app.repositories.engine.collection_rules import CollectionRules, RowValues

if TYPE_CHECKING:
    from app.repositories.engine.reading import Services
    from app.repositories.engine.unit_of_work import UnitOfWork

POLICY, REGISTRATION_ROLE = (SETTINGS.fields[name] for name in ("auth_password_policy", "public_registration_role"))


class SettingsRules(CollectionRules):
    """A password policy can be read, and nobody has strangers registered with more rights than their own."""

    async def before_create(self, work: "UnitOfWork", values: RowValues) -> None:
        self._check(work, values)

    async def before_update(self, work: "UnitOfWork", row: RowValues, values: RowValues) -> None:
        self._check(work, {field: value for field, value in values.items() if row[field] != value})

    def _check(self, work: "UnitOfWork", values: RowValues) -> None:
        if values.get(REGISTRATION_ROLE):
            work.affected.roles.add(values[REGISTRATION_ROLE])
        if values.get(POLICY):
            try:
                read_pattern(values[POLICY])
            except ValueError as problem:
                raise InvalidPayload(f'"{POLICY.name}": {problem}, such as /^.{{8,}}$/') from None


async def password_policy(services: "Services") -> str | None:
    """The regular expression that new passwords have to fit, if the project has one."""
    row = await services.reading(SETTINGS, SYSTEM).read(Read(SETTINGS, (FieldSelection(POLICY.name, POLICY),), limit=1))
    policy: str | None = row[0][POLICY.name] if row else None
    return policy
