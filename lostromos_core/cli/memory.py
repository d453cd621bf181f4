"""How a process of its own uses memory: for ``lostromos run``, since a host of an Operator decides for itself."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_YOUNG: Final = 10_000
"""New objects after which the garbage collector looks at them: since what was frozen no longer counts, the collection
of all others would come too often with the default, 700."""
_M_ARENA_MAX: Final = -8
"""Source: malloc.h of the GNU C library; https://man7.org/linux/man-pages/man3/mallopt.3.html"""


def use_one_arena() -> None:
    """Have all threads take memory from one place, if the C library is GNU's.

    It would give each thread an arena, and what a rendering has freed there is of no use to anybody else: beside
    resources that are made to cost much, the process grew to 275 MiB instead of 205.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def freeze() -> None:
    """Keep the garbage collector away from what there is now, and stays.

    It would walk through all of it, 50 to 100 ms in which nothing else is done, again and again while large resources
    come and go. Source: https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])


@contextlib.asynccontextmanager
async def frozen_after(started: asyncio.Event) -> AsyncIterator[None]:
    """Do that within the block, as soon as an operator has started."""

    async def wait() -> None:
        await started.wait()
        freeze()

    waiting = asyncio.create_task(wait())
    try:
        yield
    finally:
        waiting.cancel()
