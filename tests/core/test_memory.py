"""How ``lostromos run`` uses memory."""

from __future__ import annotations

import asyncio
import gc

from lostromos_core.cli import memory


async def test_what_is_there_is_frozen_when_the_operator_has_started_and_not_before() -> None:
    started, thresholds = asyncio.Event(), gc.get_threshold()
    frozen = gc.get_freeze_count()
    try:
        async with memory.frozen_after(started):
            await asyncio.sleep(0)
            assert gc.get_freeze_count() == frozen
            started.set()
            for _ in range(3):
                await asyncio.sleep(0)
            assert gc.get_freeze_count() > frozen + 1_000
            assert gc.get_threshold()[0] > thresholds[0]
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
