"""Run background tasks, such as watches, while a connection is open."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

import structlog

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    Run: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

_log = structlog.get_logger("lostromos.kube")

FIRST_RESTART: Final = 1.0
LAST_RESTART: Final = 60.0
"""Seconds before a failed task is restarted: doubled each time, from ``FIRST_RESTART`` to ``LAST_RESTART``."""
PATIENCE: Final = 4.0
"""Seconds that cancelled tasks have to finish."""


@final
class Background:
    """Run named tasks. A failed task is logged and restarted, with growing delays; one that returns is finished."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, run: Run, *, name: str) -> None:
        """Run a task until it returns or ``close`` is called; ``run`` is called again for each attempt."""
        task = asyncio.create_task(self._keep(run, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cancel all tasks and wait for them to end, except for those that ignore the cancellation."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            _, stuck = await asyncio.wait(self._tasks, timeout=PATIENCE)
            for task in stuck:
                _log.error("a background task ignored its cancellation", task=task.get_name())

    async def _keep(self, run: Run, name: str) -> None:
        delay = FIRST_RESTART
        while True:
            started = self._clock()
            try:
                return await run()
            except Exception as error:  # noqa: BLE001 - one failure must not stop other tasks
                if self._clock() - started > LAST_RESTART:
                    delay = FIRST_RESTART
                expected = isinstance(error, errors.LostromosError)
                _log.error(
                    "a background task failed; it will be restarted",
                    task=name,
                    seconds=delay,
                    reason=errors.shorten(str(error)) if expected else "a bug, or a plug-in's",
                    exc_info=not expected,
                )
            await self._sleep(delay)
            delay = min(LAST_RESTART, delay * 2)
