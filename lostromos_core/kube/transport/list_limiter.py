"""How many watches may read all there is at the same time: the first list is what a watch costs the API server."""

from __future__ import annotations

import asyncio
from typing import Final, final

AT_ONCE: Final = 16
PATIENCE: Final = 10.0
"""Seconds after which one that is slow keeps no other waiting."""


@final
class ListLimiter:
    """Places for watches that begin."""

    def __init__(self, *, at_once: int = AT_ONCE, patience: float = PATIENCE) -> None:
        self.patience = patience
        self.free = asyncio.Semaphore(at_once)

    def permit(self) -> Permit:
        """Return a place for one watch."""
        return Permit(self)


@final
class Permit:
    """The place of one watch: taken before it reads all there is, and left when it has."""

    def __init__(self, list_limiter: ListLimiter) -> None:
        self._openings = list_limiter
        self._timer: asyncio.TimerHandle | None = None

    async def acquire(self) -> None:
        """Wait for a place; for one that is held already, do nothing."""
        if self._timer is None:
            await self._openings.free.acquire()
            self._timer = asyncio.get_running_loop().call_later(self._openings.patience, self.release)

    def release(self) -> None:
        """Let the next one begin, if the place is held."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._openings.free.release()
