"""Signing in to the Studio as a user whom the base data gives no password."""

from sqlalchemy import update

from app.db.models import User
from tests.base_data import uid
from tests.http.clients import PASSWORD_HASH


async def sign_in_as(studio, members, name):
    """Give a user the password of the `members`, and return their browser."""
    async with members.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid(name)).values(password=PASSWORD_HASH))
    return await studio.sign_in(name)
