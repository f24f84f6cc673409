"""Sign-ins at a provider, each of which is completed once, whichever node receives its response."""

import hashlib
from datetime import timedelta

from sqlalchemy import String, text

from app.db.models import USED_SIGN_INS
from app.db.statement import bind_param
from app.db.transaction import WriteTransaction
from app.repositories.services import Services

MARK_USED = (
    text(
        "INSERT INTO rollcall_used_sign_ins (hash, expires) VALUES (:hash, :expires) "
        "ON CONFLICT (hash) DO NOTHING RETURNING hash"
    )
    .bindparams(*(bind_param(name, USED_SIGN_INS.c[name].type) for name in ("hash", "expires")))
    .columns(hash=String())
)


async def use_sign_in(services: Services, state: str, ttl: timedelta) -> bool:
    """Return whether a sign-in's response is the first one; its state is remembered for `ttl`, until it expires."""
    row = {"hash": hashlib.sha256(state.encode()).hexdigest(), "expires": services.clock() + ttl}

    async def mark(writer: WriteTransaction) -> bool:
        return bool(await writer.execute(MARK_USED, row))

    return await services.database.run_write(mark, exclusive=False)
