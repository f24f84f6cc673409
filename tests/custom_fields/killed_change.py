"""A process that is killed after the DDL of a new field, before it is committed: `python -m … URL`."""

import asyncio
import os
import signal
import sys

from app.core.caller import SYSTEM
from app.db.database import Database
from app.repositories.services import Services
from app.repositories.system import ddl
from app.repositories.system.ddl import ColumnDefinition
from app.repositories.system.rows import FIELD_ROWS
from app.repositories.system.schema_transaction import SchemaWriter
from tests.conftest import make_settings

PHONE = ColumnDefinition("directus_users", "phone", "varchar(20)", indexed="directus_users_phone_index")


async def add_and_die(transaction):
    await transaction.run(ddl.add_column(transaction.dialect, PHONE))
    await transaction.insert_row(FIELD_ROWS, {"collection": PHONE.table, "field": PHONE.name})
    os.kill(os.getpid(), signal.SIGKILL)


async def main(url):
    settings = make_settings(url)
    database = Database.open(settings)
    await SchemaWriter(SYSTEM, Services.from_settings(database, settings)).change(add_and_die)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
