"""Renderings in an event loop: a turn there, and what takes longer is done again beside it, in a thread.

Nearly all renderings end within their turn, and a thread would cost them more than they take. A thread alone does not
let others go on: it holds the interpreter's lock for milliseconds each time. So a rendering beside the loop rests for a
moment twice a millisecond or so. One is rendered at a time, which bounds the memory of all.
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
"""Seconds that a rendering beside the loop rests."""
PATIENCE: Final = 0.1
"""Seconds after which one that waits for the loop looks whether it is still wanted."""

_locks: Final[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]] = weakref.WeakKeyDictionary()


async def render(
    render: Callable[[interfaces.Resource, interfaces.Context], R],
    resource: interfaces.Resource,
    context: interfaces.Context,
) -> R:
    """What ``render`` returns or raises; it never takes the loop for longer than a turn."""
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
    """Nobody waits for the rendering any more."""


@final
class _Beside:
    """A rendering in a thread: where it rests, and asks the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, find: Any) -> None:  # noqa: ANN401 - None, or as Context.lookup
        self._loop = loop
        self._find = find
        self._ended = threading.Event()

    def end(self) -> None:
        """Nobody waits for it any more."""
        self._ended.set()

    def rest(self) -> None:
        """Let the loop go on."""
        if self._ended.is_set():
            raise _UnwantedError
        time.sleep(REST)

    def look_up(self, ref: interfaces.ObjectRef) -> Mapping[str, Any] | None:
        """Look an object up in the loop, where the cache is that all use."""
        answer: concurrent.futures.Future[Mapping[str, Any] | None] = concurrent.futures.Future()
        self._loop.call_soon_threadsafe(self._answer, ref, answer)
        while not concurrent.futures.wait((answer,), PATIENCE).done:
            if self._ended.is_set():
                raise _UnwantedError
        return answer.result()

    def _answer(self, ref: interfaces.ObjectRef, answer: concurrent.futures.Future[Any]) -> None:
        try:
            answer.set_result(self._find(ref))
        except Exception as error:  # noqa: BLE001 - raised in the thread
            answer.set_exception(error)
