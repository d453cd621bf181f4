"""Queue keys, never events, between watchers and workers.

Guarantees: a key that was added is handed out at least once after that moment; at most one worker holds it at a time,
and if it is added meanwhile, it becomes ready again when the worker releases it; a key that is delayed or held does not
block others. Groups take turns, and so do groups within them, so that ten thousand keys of one tenant do not delay the
one key of another, nor a thousand tenants of one controller those of another.

The schedule is a plain object that is told the time, so that it can be tested without waiting; ``WorkQueue`` is a thin
asynchronous wrapper around it. Model: client-go's util/workqueue.
"""

from __future__ import annotations

import asyncio
import collections
import heapq
import itertools
import random
import time
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, final

from lostromos_core import interfaces

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence


K = TypeVar("K", bound="Hashable")

FIRST_RETRY, LAST_RETRY = 0.2, 300.0
"""Seconds: the ceiling of the back-off before it doubles for the first time, and its maximum."""
FIRST_SLOW_RETRY, LAST_SLOW_RETRY = 2.0, 3600.0
"""The same for refusals: the answer is unlikely to change soon."""
MAX_DEAD_ENTRIES = 100
"""Dropped delays that may stay in the heap, in addition to one for each pending delay."""


def full_jitter(failures: int, *, slow: bool = False) -> float:
    """Return the seconds to wait after a number of failures in a row (from 1): random up to a ceiling that doubles.

    The ceiling grows from 0.4 seconds to 5 minutes, or from 4 seconds to an hour if ``slow``.
    Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    first, last = (FIRST_SLOW_RETRY, LAST_SLOW_RETRY) if slow else (FIRST_RETRY, LAST_RETRY)
    ceiling = min(last, first * 2 ** min(failures, 16))
    return random.uniform(ceiling / 4, ceiling)  # noqa: S311 - spreads load, not used for security


class Backoff(Protocol):
    """Decide how long a key waits after failures."""

    def __call__(self, failures: int, *, slow: bool) -> float:
        """Return the seconds to wait after a number of failures of one kind in a row."""


@final
class _FairQueue(Generic[K]):
    """Hold keys in groups that take turns; groups can be nested. The cost is independent of the number of keys."""

    def __init__(self) -> None:
        self._groups: collections.OrderedDict[Hashable, _FairQueue[K]] = collections.OrderedDict()
        self._keys: collections.deque[K] = collections.deque()

    def __bool__(self) -> bool:
        return bool(self._keys or self._groups)

    def add(self, key: K, groups: Sequence[Hashable]) -> None:
        """Append a key to its group; ``groups`` is the path to the group, the outermost first."""
        if not groups:
            self._keys.append(key)
        else:
            self._groups.setdefault(groups[0], _FairQueue()).add(key, groups[1:])

    def get(self) -> K:
        """Remove and return the first key of the next group, which then moves to the end of the line."""
        if self._keys:
            return self._keys.popleft()
        name, group = self._groups.popitem(last=False)
        key = group.get()
        if group:
            self._groups[name] = group
        return key


@final
class Schedule(Generic[K]):
    """Decide which key is next, at a time that the caller passes (seconds, monotonic).

    ``group_of`` returns the group of a key; a tuple means nested groups, the outermost first, and must have the same
    length for all keys.
    """

    def __init__(self, group_of: Callable[[K], Hashable]) -> None:
        self._group_of = group_of
        self._ready: _FairQueue[K] = _FairQueue()
        self._queued: set[K] = set()
        self._held: set[K] = set()
        self._dirty: set[K] = set()
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = itertools.count()

    def add(self, key: K) -> None:
        """Make a key ready now, and drop its delay."""
        if self._due.pop(key, None) is not None:
            self._forget_stale()
        if key in self._held:
            self._dirty.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            group = self._group_of(key)
            self._ready.add(key, group if isinstance(group, tuple) else (group,))

    def add_after(self, key: K, due: float) -> None:
        """Make a key ready at ``due``, unless it is ready or due earlier."""
        if key in self._queued or key in self._dirty or self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._heap, (due, next(self._order), key))
        self._forget_stale()

    def get(self, now: float) -> K | None:
        """Return the next key, held by the caller from now on; None if no key is ready."""
        self.promote_due(now)
        if not self._ready:
            return None
        key = self._ready.get()
        self._queued.discard(key)
        self._held.add(key)
        return key

    def promote_due(self, now: float) -> None:
        """Make the keys ready that are due."""
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                self.add(key)

    def done(self, key: K) -> None:
        """Release a key that ``get`` returned; it is ready again if it was added meanwhile."""
        self._held.discard(key)
        if key in self._dirty:
            self._dirty.discard(key)
            self.add(key)

    def next_due(self) -> float | None:
        """Return when the next delayed key becomes ready; None if no key is delayed."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _forget_stale(self) -> None:
        """Remove from the heap the delays that were dropped early, once there are many of them."""
        if len(self._heap) > 2 * len(self._due) + MAX_DEAD_ENTRIES:
            self._heap = [(due, next(self._order), key) for key, due in self._due.items()]
            heapq.heapify(self._heap)

    @property
    def queued(self) -> int:
        """Return the number of keys that are ready and not held."""
        return len(self._queued)

    @property
    def ready(self) -> int:
        """Return the number of keys that are ready or held."""
        return len(self._queued) + len(self._held)

    @property
    def delayed(self) -> int:
        """Return the number of keys that are delayed."""
        return len(self._due)


@final
class WorkQueue(Generic[K]):
    """Adapt a Schedule to asyncio: ``get`` waits until a key is ready."""

    def __init__(
        self,
        group_of: Callable[[K], Hashable],
        *,
        clock: Callable[[], float] = time.monotonic,
        backoff: Backoff = full_jitter,
    ) -> None:
        self._schedule = Schedule(group_of)
        self._clock = clock
        self._backoff = backoff
        self._failures: dict[K, list[int]] = {}
        self._waiting: collections.deque[asyncio.Future[None]] = collections.deque()
        self._woken = 0
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, key: K) -> None:
        """Make a key ready now."""
        self._schedule.add(key)
        self._wake()

    async def get(self) -> K:
        """Wait for the next key and hold it."""
        while True:
            key = self._schedule.get(self._clock())
            if key is not None:
                self._idle.clear()  # the key may have become due while no other was ready
                return key
            await self._wait()

    def done(self, key: K, outcome: interfaces.Outcome) -> None:
        """Release a key, and retry it as the outcome requires."""
        if not outcome.retry:
            self._failures.pop(key, None)
        elif outcome.after is not None:
            self._failures.pop(key, None)
            self._schedule.add_after(key, self._clock() + outcome.after)
        else:
            failures = self._failures.setdefault(key, [0, 0])  # one per kind: alternating failures increase both
            failures[outcome.slow] += 1
            delay = self._backoff(failures[outcome.slow], slow=outcome.slow)
            self._schedule.add_after(key, self._clock() + min(delay, outcome.at_most))
        self._schedule.done(key)
        self._wake()
        if not self._schedule.ready:
            self._idle.set()

    async def _wait(self) -> None:
        """Wait until a key may be ready."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._set_timer()
        try:
            await future
        finally:
            self._woken -= not future.cancelled()
            self._wake()  # if this waiter was cancelled, another one takes its key

    def _wake(self) -> None:
        """Wake as many waiters as there are ready keys, and no more."""
        if self._schedule.ready:
            self._idle.clear()
        while self._waiting and self._woken < self._schedule.queued:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                self._woken += 1
        self._set_timer()

    def _set_timer(self) -> None:
        """Set the timer to when the next delayed key is due, if a worker waits."""
        due = self._schedule.next_due() if self._waiting else None
        if due == self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        if due is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - self._clock()), self._ripen)

    def _ripen(self) -> None:
        self._due = self._timer = None
        self._schedule.promote_due(self._clock())
        self._wake()

    async def join(self) -> None:
        """Wait until no key is ready or held; delayed keys do not count."""
        await self._idle.wait()

    @property
    def depth(self) -> int:
        """Return the number of keys that are ready or held."""
        return self._schedule.ready


async def join_all(queues: Mapping[str, WorkQueue[str]]) -> None:
    """Wait until no queue has work left; a queue may add keys to another one meanwhile."""
    while any(queue.depth for queue in queues.values()):
        await asyncio.sleep(0)
        for queue in queues.values():
            await queue.join()


def namespace_of(key: str) -> str:
    """Return the namespace of a key: namespaces take turns."""
    return interfaces.split_key(key)[0]
