"""The queue between everything that notices and everyone who works: keys, never events.

Guarantees: a key that was added is handed out at least once after that moment; it is held by at most one worker at
a time, and adding it meanwhile makes it ready again when the worker lets go; a key that waits or is held blocks no
other. Groups take turns, and groups within them, so that ten thousand keys of one tenant do not delay the one key of
another, nor a thousand tenants of one controller the one of another.

The schedule is a plain object that is told the time, so that it can be tested without waiting; ``WorkQueue`` is
the thin asynchronous shell around it. Model: client-go's util/workqueue.
"""

from __future__ import annotations

import asyncio
import collections
import heapq
import itertools
import random
import time
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, final

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from lostromos_core import interfaces

K = TypeVar("K", bound="Hashable")

FIRST_RETRY, LAST_RETRY = 0.2, 300.0
"""Seconds: the ceiling of the back-off before it doubles for the first time, and the one that it ends at."""
FIRST_SLOW_RETRY, LAST_SLOW_RETRY = 2.0, 3600.0
"""The same for what was refused: the answer is unlikely to be another one soon."""
MAX_DEAD_ENTRIES = 100
"""How many delays that are over may be kept, beside as many as there are delays."""


def full_jitter(failures: int, *, slow: bool = False) -> float:
    """Return the seconds to wait after so many failures in a row (from 1): random up to a ceiling that doubles.

    The ceiling grows from 0.4 seconds to 5 minutes or, when it is ``slow``, from 4 seconds to an hour.
    Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    first, last = (FIRST_SLOW_RETRY, LAST_SLOW_RETRY) if slow else (FIRST_RETRY, LAST_RETRY)
    ceiling = min(last, first * 2 ** min(failures, 16))
    return random.uniform(ceiling / 4, ceiling)  # noqa: S311 - spreads load, guards nothing


class Backoff(Protocol):
    """How long a key waits after failures."""

    def __call__(self, failures: int, *, slow: bool) -> float:
        """Return the seconds to wait after so many failures in a row of one kind."""


@final
class _FairQueue(Generic[K]):
    """Keys in groups that take turns; a group is such keys again. Adding and taking costs the same for any number."""

    def __init__(self) -> None:
        self._groups: collections.OrderedDict[Hashable, _FairQueue[K]] = collections.OrderedDict()
        self._keys: collections.deque[K] = collections.deque()

    def __bool__(self) -> bool:
        return bool(self._keys or self._groups)

    def add(self, key: K, groups: Sequence[Hashable]) -> None:
        """Add a key as the last of its group; ``groups`` leads there from the outermost."""
        if not groups:
            self._keys.append(key)
        else:
            self._groups.setdefault(groups[0], _FairQueue()).add(key, groups[1:])

    def get(self) -> K:
        """The first key of the group whose turn it is, which is the last to have one again."""
        if self._keys:
            return self._keys.popleft()
        name, group = self._groups.popitem(last=False)
        key = group.get()
        if group:
            self._groups[name] = group
        return key


@final
class Schedule(Generic[K]):
    """Which key is next, at a time that the caller tells (seconds, monotonic).

    ``group_of`` a key is a tuple for a group within groups, the outermost first; for all keys of the same length.
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
        """Make a key ready now; a delay that it had is over."""
        if self._due.pop(key, None) is not None:
            self._forget_stale()
        if key in self._held:
            self._dirty.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            group = self._group_of(key)
            self._ready.add(key, group if isinstance(group, tuple) else (group,))

    def add_after(self, key: K, due: float) -> None:
        """Make a key ready at a time, unless it is ready or due earlier."""
        if key in self._queued or key in self._dirty or self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._heap, (due, next(self._order), key))
        self._forget_stale()

    def get(self, now: float) -> K | None:
        """The next key, held by the caller from now on; None if none is ready."""
        self.promote_due(now)
        if not self._ready:
            return None
        key = self._ready.get()
        self._queued.discard(key)
        self._held.add(key)
        return key

    def promote_due(self, now: float) -> None:
        """Make the keys ready whose time has come."""
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                self.add(key)

    def done(self, key: K) -> None:
        """The caller of ``get`` is done with a key."""
        self._held.discard(key)
        if key in self._dirty:
            self._dirty.discard(key)
            self.add(key)

    def next_due(self) -> float | None:
        """When the next delayed key becomes ready, None if there is none."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _forget_stale(self) -> None:
        """Delays that were over before their time stay in the heap; now and then they are taken out."""
        if len(self._heap) > 2 * len(self._due) + MAX_DEAD_ENTRIES:
            self._heap = [(due, next(self._order), key) for key, due in self._due.items()]
            heapq.heapify(self._heap)

    @property
    def queued(self) -> int:
        """How many keys are ready, and held by nobody."""
        return len(self._queued)

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
    """A Schedule for asyncio: ``get`` waits until a key is ready."""

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
                self._idle.clear()  # its time may have come while nothing else was ready
                return key
            await self._wait()

    def done(self, key: K, outcome: interfaces.Outcome) -> None:
        """Give a key back, with what shall become of it."""
        if not outcome.retry:
            self._failures.pop(key, None)
        elif outcome.after is not None:
            self._failures.pop(key, None)
            self._schedule.add_after(key, self._clock() + outcome.after)
        else:
            failures = self._failures.setdefault(key, [0, 0])  # one count for each kind, so that two in turn grow both
            failures[outcome.slow] += 1
            delay = self._backoff(failures[outcome.slow], slow=outcome.slow)
            self._schedule.add_after(key, self._clock() + min(delay, outcome.at_most))
        self._schedule.done(key)
        self._wake()
        if not self._schedule.ready:
            self._idle.set()

    async def _wait(self) -> None:
        """Wait until it is worth another look."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._set_timer()
        try:
            await future
        finally:
            self._woken -= not future.cancelled()
            self._wake()  # if this one was cancelled, the key that it was woken for is another one's

    def _wake(self) -> None:
        """Wake as many of those who wait as there are keys for them, and no more."""
        if self._schedule.ready:
            self._idle.clear()
        while self._waiting and self._woken < self._schedule.queued:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                self._woken += 1
        self._set_timer()

    def _set_timer(self) -> None:
        """Look again when the next delayed key is due, if somebody waits for it."""
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
        """Wait until no key is ready or held; delayed ones do not count."""
        await self._idle.wait()

    @property
    def depth(self) -> int:
        """How many keys are ready or held."""
        return self._schedule.ready


async def join_all(queues: Mapping[str, WorkQueue[str]]) -> None:
    """Wait until no queue has anything to do; one may add to another while it is waited for."""
    while any(queue.depth for queue in queues.values()):
        await asyncio.sleep(0)
        for queue in queues.values():
            await queue.join()


def namespace_of(key: str) -> str:
    """Return the namespace of a key: namespaces take turns."""
    return key.rpartition("/")[0]
