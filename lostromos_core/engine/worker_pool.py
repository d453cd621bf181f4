"""Reconcile the keys of the controllers' queues, several at a time, and end that in order."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, TypeAlias, final

import structlog

from lostromos_core import interfaces
from lostromos_core.engine import change_log, reconcile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lostromos_core import plugins
    from lostromos_core.engine import reports, supervision, workqueue

_log = structlog.get_logger("lostromos.operator")

GRACE = 13.0
"""Seconds that running reconciles have to finish after a signal; the whole shutdown takes less than 20."""
CANCEL = 4.0
"""Seconds that cancelled tasks have to clean up."""
STOP = 2.0
"""Seconds that the parts of a controller have to stop."""

Record: TypeAlias = "Callable[[str, str, reports.Result], None]"
"""Function that gets controller, key and result of each reconcile."""


@final
class WorkerPool:
    """Run the workers of all controllers of an operator, until ``stop`` is set."""

    def __init__(
        self,
        registry: plugins.Registry,
        states: Mapping[str, supervision.WatchState],
        stop: asyncio.Event,
        record: Record,
    ) -> None:
        self._registry = registry
        self._states = states
        self._stop = stop
        self._record = record
        self._tasks: list[asyncio.Task[None]] = []
        self._busy: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> int:
        """Return how many reconciles are running."""
        return len(self._busy)

    def start(self, context: reconcile.ControllerContext, queue: workqueue.WorkQueue[str], count: int) -> None:
        """Start the workers of one controller."""
        self._tasks += [
            asyncio.create_task(self._work(queue, context), name=f"worker {number} of {context.name}")
            for number in range(count)
        ]

    def interrupt(self, why: str) -> None:
        """Cancel all running reconciles; ``why`` becomes the message of the cancellation."""
        for task in self._busy:
            task.cancel(why)

    async def end(self, watches: Sequence[asyncio.Task[None]]) -> None:
        """Stop intake first, then let running reconciles finish, then cancel those that take too long."""
        self._stop.set()
        for task in (*watches, *(worker for worker in self._tasks if worker not in self._busy)):
            task.cancel()
        if self._busy:
            await asyncio.wait(set(self._busy), timeout=GRACE)
        for task in self._tasks:
            if not task.done():
                task.cancel()
        if self._busy:
            _log.warning("some reconciles did not finish in time; the next start resumes them", count=self.busy)
        if watches or self._tasks:
            _, stuck = await asyncio.wait([*watches, *self._tasks], timeout=CANCEL)
            complain(stuck)

    async def _work(self, queue: workqueue.WorkQueue[str], context: reconcile.ControllerContext) -> None:
        """Take keys and reconcile them, one at a time, until cancelled.

        The worker continues after any exception: otherwise it would be lost for good, without notice.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this code runs in a task
        while not self._stop.is_set():
            key = await queue.get()
            self._busy.add(task)
            outcome = interfaces.Outcome.again()
            try:
                result = await self._reconcile(context, key)
                outcome = result.outcome
            except asyncio.CancelledError:
                if reconcile.is_cancelled():
                    raise
                _log.exception("unexpected error: a cancellation from within", controller=context.name, resource=key)
            except Exception:  # noqa: BLE001 - see above
                _log.exception("unexpected error; the resource is retried", controller=context.name, resource=key)
            finally:
                self._busy.discard(task)
                queue.done(key, outcome)

    async def _reconcile(self, context: reconcile.ControllerContext, key: str) -> reports.Result:
        started = time.monotonic()
        result = await reconcile.reconcile(context, key)
        if result.report or result.resource or not result.outcome.retry:  # else it is not known yet whether it exists
            settled = result.report is None or result.report.ready
            self._states[context.name].first_look.reconciled(key, settled=settled)
        if result.resource is not None and result.report is not None and result.resource.unreadable:
            self._registry.tell_unreadable(context.name, key, result.resource.unreadable)
        seconds = time.monotonic() - started
        change_log.record_all(context.name, key, result.report, seconds)
        self._registry.tell_reconciled(context.name, key, result.report, seconds)
        self._record(context.name, key, result)
        return result


def complain(stuck: Iterable[asyncio.Task[Any]]) -> None:
    """Log tasks that have ignored their cancellation."""
    for task in stuck:
        _log.error("a task ignored its cancellation", task=task.get_name())
