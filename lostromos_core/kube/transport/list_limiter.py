"""Limit how many watches list at the same time: the first list is what a watch costs the API server."""

from __future__ import annotations

import asyncio
from typing import Final, final

AT_ONCE: Final = 16
PATIENCE: Final = 10.0
"""Seconds after which a slow watch no longer blocks others."""


@final
class ListLimiter:
    """Hold the slots for watches that are starting."""

    def __init__(self, *, at_once: int = AT_ONCE, patience: float = PATIENCE) -> None:
        self.patience = patience
        self.free = asyncio.Semaphore(at_once)

    def permit(self) -> Permit:
        """Return a permit for one watch."""
        return Permit(self)


@final
class Permit:
    """Hold the slot of one watch: acquired before it lists all objects, and released when it has."""

    def __init__(self, limiter: ListLimiter) -> None:
        self._limiter = limiter
        self._timer: asyncio.TimerHandle | None = None

    async def acquire(self) -> None:
        """Wait for a slot; do nothing if one is already held."""
        if self._timer is None:
            await self._limiter.free.acquire()
            self._timer = asyncio.get_running_loop().call_later(self._limiter.patience, self.release)

    def release(self) -> None:
        """Release the slot for the next watch, if it is held."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._limiter.free.release()
