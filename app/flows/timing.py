"""Taking as long whatever becomes of it, so that time tells nothing about accounts."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta


@asynccontextmanager
async def minimum_duration(duration: timedelta) -> AsyncIterator[None]:
    """What is done within takes at least so long, also when it fails."""
    begun = time.perf_counter()
    try:
        yield
    finally:
        await asyncio.sleep(max(0.0, duration.total_seconds() - (time.perf_counter() - begun)))
