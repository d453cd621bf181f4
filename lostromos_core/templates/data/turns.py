"""Render in an event loop: each rendering gets one turn there, and a longer one is repeated in a thread.

Nearly all renderings finish within their turn, and a thread would cost more than they do. A thread alone does not let
others continue: it holds the interpreter's lock for milliseconds at a time. So a rendering in a thread sleeps briefly
about twice a millisecond. Only one runs in a thread at a time, which limits the total memory.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import dataclasses
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

from lostromos_core.templates.data import budget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lostromos_core import interfaces

R = TypeVar("R")

REST: Final = 0.0002
"""Seconds that a rendering in a thread sleeps."""
PATIENCE: Final = 0.1
"""Seconds after which a rendering that waits for the loop checks whether it is still needed."""

_locks: Final[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]] = weakref.WeakKeyDictionary()


async def render(
    render: Callable[[interfaces.Resource, interfaces.Context], R],
    resource: interfaces.Resource,
    context: interfaces.Context,
) -> R:
    """Return or raise what ``render`` does, without blocking the loop for longer than a turn."""
    with budget.rendering() as used:
        used.every(budget.TURN, _end_turn)
        try:
            return render(resource, context)
        except budget.TurnOverError:
            pass
        finally:
            used.free()
        loop = asyncio.get_running_loop()
        async with _locks.setdefault(loop, asyncio.Lock()):
            beside = _Beside(loop, context.lookup)
            used.every(budget.BREATH, beside.rest)
            lookup = None if context.lookup is None else beside.look_up
            run = contextvars.copy_context().run
            try:
                return await loop.run_in_executor(
                    None, run, render, resource, dataclasses.replace(context, lookup=lookup)
                )
            finally:
                beside.end()
                used.free()


def _end_turn() -> None:
    raise budget.TurnOverError


@final
class _UnwantedError(BaseException):
    """Raised when no caller waits for the rendering any more."""


@final
class _Beside:
    """Run a rendering in a thread: pause it, and send its lookups to the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, find: interfaces.Anything) -> None:
        self._loop = loop
        self._find = find
        self._ended = threading.Event()

    def end(self) -> None:
        """Record that no caller waits for the rendering any more."""
        self._ended.set()

    def rest(self) -> None:
        """Sleep briefly, so that the loop can continue."""
        if self._ended.is_set():
            raise _UnwantedError
        time.sleep(REST)

    def look_up(self, ref: interfaces.ObjectRef) -> Mapping[str, Any] | None:
        """Look up an object in the loop, where the shared cache is."""
        answer: concurrent.futures.Future[Mapping[str, Any] | None] = concurrent.futures.Future()
        self._loop.call_soon_threadsafe(self._answer, ref, answer)
        while not concurrent.futures.wait((answer,), PATIENCE).done:
            if self._ended.is_set():
                raise _UnwantedError
        return answer.result()

    def _answer(self, ref: interfaces.ObjectRef, answer: concurrent.futures.Future[Any]) -> None:
        try:
            answer.set_result(self._find(ref))
        except Exception as error:  # noqa: BLE001 - re-raised in the thread
            answer.set_exception(error)
