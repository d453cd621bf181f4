"""The queue between everything that notices and everyone who works: keys, never events.

Guarantees: a key that was added is handed out at least once after that moment; it is held by at most one worker at
a time, and adding it meanwhile makes it ready again when the worker lets go; a key that waits or is held blocks no
other. Groups take turns, so that ten thousand keys of one tenant do not delay the one key of another.

The schedule is a plain object that is told the time, so that it can be tested without waiting; ``WorkQueue`` is
the thin asynchronous shell around it. Model: client-go's util/workqueue.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import heapq
import itertools
import random
import time
from typing import TYPE_CHECKING, Generic, TypeVar, final

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from lostromos_core import interfaces

K = TypeVar("K", bound="Hashable")

FIRST_RETRY = 0.2
LAST_RETRY = 300.0


def full_jitter(failures: int) -> float:
    """Seconds to wait after so many failures in a row (from 1): random up to a ceiling that doubles, 0.2 s to 5 min.

    Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    ceiling = min(LAST_RETRY, FIRST_RETRY * 2 ** min(failures, 16))
    return random.uniform(ceiling / 4, ceiling)  # noqa: S311 - spreads load, guards nothing


@final
class Schedule(Generic[K]):
    """Which key is next, at a time that the caller tells (seconds, monotonic)."""

    def __init__(self, group_of: Callable[[K], Hashable]) -> None:
        self._group_of = group_of
        self._ready: dict[Hashable, collections.deque[K]] = {}
        self._turns: collections.deque[Hashable] = collections.deque()
        self._queued: set[K] = set()
        self._held: set[K] = set()
        self._dirty: set[K] = set()
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = itertools.count()

    def add(self, key: K) -> None:
        """Make a key ready now; a delay that it had is over."""
        self._due.pop(key, None)
        if key in self._held:
            self._dirty.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            group = self._group_of(key)
            if group not in self._ready:
                self._ready[group] = collections.deque()
                self._turns.append(group)
            self._ready[group].append(key)

    def add_later(self, key: K, due: float) -> None:
        """Make a key ready at a time, unless it is ready or due earlier."""
        if key in self._queued or key in self._dirty or self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._heap, (due, next(self._order), key))

    def take(self, now: float) -> K | None:
        """The next key, held by the caller from now on; None if none is ready."""
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                self.add(key)
        if not self._turns:
            return None
        group = self._turns.popleft()
        keys = self._ready[group]
        key = keys.popleft()
        if keys:
            self._turns.append(group)
        else:
            del self._ready[group]
        self._queued.discard(key)
        self._held.add(key)
        return key

    def let_go(self, key: K) -> None:
        """The caller of ``take`` is done with a key."""
        self._held.discard(key)
        if key in self._dirty:
            self._dirty.discard(key)
            self.add(key)

    def next_due(self) -> float | None:
        """When the next delayed key becomes ready, None if there is none."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    @property
    def ready(self) -> int:
        """How many keys are ready or held."""
        return len(self._queued) + len(self._held)

    @property
    def delayed(self) -> int:
        """How many keys wait for their time."""
        return len(self._due)


@final
class WorkQueue(Generic[K]):
    """A Schedule for asyncio: ``take`` waits until a key is ready."""

    def __init__(
        self,
        group_of: Callable[[K], Hashable],
        *,
        clock: Callable[[], float] = time.monotonic,
        backoff: Callable[[int], float] = full_jitter,
    ) -> None:
        self._schedule = Schedule(group_of)
        self._clock = clock
        self._backoff = backoff
        self._failures: dict[K, int] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, key: K) -> None:
        """Make a key ready now."""
        self._schedule.add(key)
        self._idle.clear()
        self._wake.set()

    async def take(self) -> K:
        """Wait for the next key and hold it."""
        while True:
            key = self._schedule.take(self._clock())
            if key is not None:
                return key
            self._wake.clear()
            due = self._schedule.next_due()
            timeout = None if due is None else max(0.0, due - self._clock())
            # Not wait_for: in Python 3.11 it swallows a cancellation that comes together with the result.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._wake.wait()

    def let_go(self, key: K, outcome: interfaces.Outcome) -> None:
        """Give a key back, with what shall become of it."""
        if not outcome.retry:
            self._failures.pop(key, None)
        elif outcome.after is not None:
            self._failures.pop(key, None)
            self._schedule.add_later(key, self._clock() + outcome.after)
        else:
            self._failures[key] = self._failures.get(key, 0) + 1
            self._schedule.add_later(key, self._clock() + self._backoff(self._failures[key]))
        self._schedule.let_go(key)
        self._wake.set()
        if not self._schedule.ready:
            self._idle.set()

    async def join(self) -> None:
        """Wait until no key is ready or held; delayed ones do not count."""
        await self._idle.wait()

    @property
    def depth(self) -> int:
        """How many keys are ready or held."""
        return self._schedule.ready
