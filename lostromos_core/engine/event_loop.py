"""Run a coroutine in a new event loop, and handle signals in it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    T = TypeVar("T")


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a new event loop: uvloop's if it is installed, otherwise asyncio's."""
    try:
        import uvloop  # noqa: PLC0415 - an extra
    except ImportError:
        return asyncio.run(coroutine)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)


async def until_signal(coroutine: Coroutine[Any, Any, T], stop: Callable[[], None]) -> T:
    """Run a coroutine of the main program; ``stop`` is called on the first SIGTERM or SIGINT, and must end it."""
    with signals(stop):
        return await coroutine


@contextlib.contextmanager
def signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` on the first SIGTERM or SIGINT; a second one ends the process. Then restore the handlers."""
    loop = asyncio.get_running_loop()
    handled = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in handled}

    def once() -> None:
        for number in handled:
            loop.remove_signal_handler(number)
        stop()

    # Outside of the main thread, and on Windows, no handler can be set: signals keep their default behavior.
    with contextlib.suppress(ValueError, NotImplementedError, RuntimeError):
        for number in handled:
            loop.add_signal_handler(number, once)
    try:
        yield
    finally:  # the same again where no handler could be set
        with contextlib.suppress(ValueError, NotImplementedError, RuntimeError):
            for number in handled:
                loop.remove_signal_handler(number)
                signal.signal(number, before[number])
