"""How many requests may be in flight: found out, not configured.

A fixed number of queries per second is wrong on every cluster but one. The limit grows by one a round of successes,
is halved when the server says that it is overloaded, and honours Retry-After.
"""

from __future__ import annotations

import asyncio
import collections
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Callable

START, MOST, LEAST = 8.0, 64.0, 1.0


@final
class Limiter:
    """Admits as many holders at once as the server has shown to bear; first come, first served."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._limit = START
        self._held = 0
        self._paused_until = 0.0
        self._waiting: collections.deque[asyncio.Future[None]] = collections.deque()

    @property
    def limit(self) -> int:
        """How many may hold it at once now."""
        return int(self._limit)

    async def __aenter__(self) -> None:
        """Wait for a place, and hold it."""
        if self._held >= self.limit or self._paused_until > self._clock():
            await self._wait()
        self._held += 1

    async def __aexit__(self, *_: object) -> None:
        """Give the place back."""
        self._held -= 1
        self._wake()

    def succeeded(self) -> None:
        """A request was answered: the limit may grow."""
        self._limit = min(MOST, self._limit + 1 / self._limit)

    def overloaded(self, retry_after: float | None = None) -> None:
        """The server could not keep up: half as many, after the pause that it asked for (seconds)."""
        self._limit = max(LEAST, self._limit / 2)
        if retry_after:
            self._paused_until = max(self._paused_until, self._clock() + min(retry_after, 60.0))

    async def _wait(self) -> None:
        pause = self._paused_until - self._clock()
        if pause > 0:
            await asyncio.sleep(pause)
        while self._held >= self.limit:
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            try:
                await future
            except asyncio.CancelledError:
                self._wake()
                raise

    def _wake(self) -> None:
        free = self.limit - self._held
        while free > 0 and self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                free -= 1
