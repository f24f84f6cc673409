"""What the suite itself checks before it starts."""

import pytest

from tests.conftest import CONNECTIONS_PER_PROCESS, HAS_POSTGRESQL, connection_shortage, count_free_connections


def test_a_shortage_of_connections_is_reported_with_their_number():
    enough = CONNECTIONS_PER_PROCESS * 3

    assert connection_shortage(enough, 3) is None
    assert str(connection_shortage(enough - 7, 3)).startswith(
        f"PostgreSQL has {enough - 7} free connections, and 3 test processes need 7 more."
    )


@pytest.mark.skipif(not HAS_POSTGRESQL, reason="PostgreSQL is unavailable")
async def test_the_free_connections_are_counted():
    assert await count_free_connections() > 0
