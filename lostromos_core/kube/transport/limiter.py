"""Limit the requests in flight; the limit adapts to the server and is not configured.

No fixed number of queries per second suits every cluster. The limit grows by one per round of successes, is halved
when the server reports that it is overloaded, and honours Retry-After.
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
    """Admit as many holders at once as the server has proven to handle; first come, first served."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._limit = START
        self._held = 0
        self._paused_until = 0.0
        self._waiting: collections.deque[asyncio.Future[None]] = collections.deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def limit(self) -> int:
        """Return the current limit of concurrent holders."""
        return int(self._limit)

    async def __aenter__(self) -> None:
        """Wait for a slot and take it."""
        if self._waiting or self._held >= self.limit or self._pause() > 0:
            await self._wait()
        else:
            self._held += 1

    async def __aexit__(self, *_: object) -> None:
        """Release the slot."""
        self._held -= 1
        self._wake()

    def succeeded(self) -> None:
        """Record a successful request: the limit may grow."""
        self._limit = min(MOST, self._limit + 1 / self._limit)
        self._wake()

    def overloaded(self, retry_after: float | None = None) -> None:
        """Record an overload of the server: halve the limit, and pause for ``retry_after`` seconds (60 at most)."""
        self._limit = max(LEAST, self._limit / 2)
        if retry_after:
            self._paused_until = max(self._paused_until, self._clock() + min(retry_after, 60.0))

    def _pause(self) -> float:
        """Return the seconds until requests may start again; 0 or less if they may start now."""
        return self._paused_until - self._clock()

    async def _wait(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._wake()
        try:
            await future
            while (pause := self._pause()) > 0:  # noqa: ASYNC110 - the pause may start or grow after the wake-up
                await asyncio.sleep(pause)
        except asyncio.CancelledError:
            if not future.cancelled():
                self._held -= 1
            self._wake()
            raise

    def _wake(self) -> None:
        """Assign free slots to waiting tasks in order of arrival, before any newcomer."""
        pause = self._pause()
        if pause > 0:
            if self._waiting and self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(pause, self._resume)
            return
        while self._waiting and self._held < self.limit:
            future = self._waiting.popleft()
            if not future.done():
                self._held += 1
                future.set_result(None)

    def _resume(self) -> None:
        self._timer = None
        self._wake()
