"""Progress of something long, on standard error: a line that moves on a terminal, a line now and then in a log."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Final

from rich import console as consoles
from rich import live, spinner

EVERY: Final = 15.0
"""Seconds between lines in a log: a few dozen for the longest build, and no watchdog of silent jobs gets nervous."""


def tell(message: str) -> None:
    """Say something once."""
    _console().print(message)


@contextlib.contextmanager
def shown(title: str, *, describe: Callable[[], str]) -> Iterator[None]:
    """Show the title, then what `describe()` says, again and again, while the block runs."""
    console = _console()
    console.print(title)
    how = _moving if console.is_terminal and not console.is_dumb_terminal else _lines
    with how(console, describe):
        yield
    console.print(f"Done: {describe()}")


@contextlib.contextmanager
def _moving(console: consoles.Console, describe: Callable[[], str]) -> Iterator[None]:
    dots = spinner.Spinner("dots")

    def render() -> spinner.Spinner:
        dots.update(text=describe())
        return dots

    with live.Live(get_renderable=render, console=console, transient=True):
        yield


@contextlib.contextmanager
def _lines(console: consoles.Console, describe: Callable[[], str]) -> Iterator[None]:
    done = threading.Event()

    def write() -> None:
        while not done.wait(EVERY):
            console.print(describe())

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        done.set()
        writer.join()


def _console() -> consoles.Console:
    return consoles.Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
