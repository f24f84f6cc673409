"""A minimum duration for operations whose timing must not reveal whether an account exists."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta


@asynccontextmanager
async def minimum_duration(duration: timedelta) -> AsyncIterator[None]:
    """Delay leaving the block until `duration` has passed, also when the block raises."""
    started = time.perf_counter()
    try:
        yield
    finally:
        await asyncio.sleep(max(0.0, duration.total_seconds() - (time.perf_counter() - started)))
