"""An upgrade that is killed anywhere leaves the database as it was."""

import pytest

from tests.upgrade.elevens import STEPS, killed_all_the_way
from tests.upgrade.pictures import picture


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_statement_it_has_changed_nothing(ten, step):
    before = await picture(ten.settings.database_url)
    killed, after = await killed_all_the_way("up", ten.settings.database_url, step)

    assert len(killed) > 15 // step
    assert all(there == before for there in killed)
    assert "directus_policies" in {table for _, table, _ in after["rows"]}
