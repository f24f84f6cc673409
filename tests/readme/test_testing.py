"""The README's own test, run as it stands there."""

from app.schema.schema import schema
from app.testing import rollcall

__all__ = ["rollcall"]

VI = {"id": "5f0c9d1e-0000-4000-8000-000000000001", "email": "vi@example.com"}


async def test_somebody_without_policies_sees_nobody(rollcall):
    await rollcall.load({"directus_users": [VI]})
    vi, admin = await rollcall.speak_as("vi@example.com"), await rollcall.speak_as("admin@example.com")

    assert (await schema.execute("{ users { email } }", context_value=vi)).data is None
    assert (await schema.execute("{ users_me { email } }", context_value=admin)).errors is None
