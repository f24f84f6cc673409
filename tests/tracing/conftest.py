"""Users who can log in."""

from tests.flows.conftest import inviters, inviters_db
from tests.http.conftest import members

__all__ = ["inviters", "inviters_db", "members"]
