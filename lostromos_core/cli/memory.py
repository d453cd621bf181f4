"""Tune the memory use of the ``lostromos run`` process; a program that embeds an Operator decides for itself."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_YOUNG: Final = 10_000
"""New objects after which the garbage collector examines them: since frozen objects no longer count, collections of all
others would be too frequent with the default, 700."""
_M_ARENA_MAX: Final = -8
"""Source: malloc.h of the GNU C library; https://man7.org/linux/man-pages/man3/mallopt.3.html"""


def use_one_arena() -> None:
    """Make all threads allocate memory from one arena, if the C library is GNU's.

    By default each thread gets its own arena, and memory freed there by a rendering is of no use to other threads: with
    resources made to be expensive, the process grew to 275 MiB instead of 205.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def freeze() -> None:
    """Exclude all objects that exist now, which are permanent, from garbage collection.

    The collector would walk through all of them, 50 to 100 ms in which nothing else is done, again and again while
    large resources come and go. Source: https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])


@contextlib.asynccontextmanager
async def frozen_after(started: asyncio.Event) -> AsyncIterator[None]:
    """Call ``freeze`` within the block, as soon as an operator has started."""

    async def wait() -> None:
        await started.wait()
        freeze()

    waiting = asyncio.create_task(wait())
    try:
        yield
    finally:
        waiting.cancel()
