"""An event loop in a thread of its own, for callers that have no loop or must not be held up by theirs."""

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, final

PATIENCE: Final = 30.0
"""Seconds for the thread to do what it is told: long, because the machine may be busy."""


@final
class Background:
    """Runs one coroutine until it is stopped."""

    def __init__(self, *, name: str) -> None:
        # A callback that never returns must not keep the interpreter from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._started: concurrent.futures.Future[asyncio.AbstractEventLoop] = concurrent.futures.Future()
        self._main: Callable[[], Coroutine[Any, Any, None]]
        self._task: asyncio.Task[None]

    def start(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start the thread and wait until the coroutine that this function makes has its turn."""
        self._main = main
        self._thread.start()
        self._started.result(PATIENCE)

    def call(self, function: Callable[[], object]) -> None:
        """Call a function in the thread, and wait until it returns unless we are in the thread ourselves."""
        if threading.current_thread() is self._thread:
            function()
            return

        async def call() -> None:
            function()

        asyncio.run_coroutine_threadsafe(call(), self._started.result()).result(PATIENCE)

    def stop(self) -> None:
        """Cancel the coroutine and wait for the end of the thread. Raises TimeoutError if it does not end."""
        # The loop is closed if the coroutine has ended already.
        with contextlib.suppress(RuntimeError):
            self._started.result().call_soon_threadsafe(self._task.cancel)
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            raise TimeoutError(f"{self._thread.name} does not end: does a callback hang?")

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._supervise())

    async def _supervise(self) -> None:
        self._task = asyncio.create_task(self._main())
        self._started.set_result(asyncio.get_running_loop())
        await self._task
