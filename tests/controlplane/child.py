"""A command run in the place of this process: its signals, its exit status."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType
from typing import Final

FORWARDED: Final = (signal.SIGINT, signal.SIGTERM)


def run(command: Sequence[str], *, environment: Mapping[str, str]) -> int:
    """Run the command and answer with its exit status as a shell would: 128 + n if signal n ended it.

    SIGINT and SIGTERM go to the command, and this process waits for its end. Raises OSError if it cannot be started.
    """
    with subprocess.Popen(command, env=environment) as process, _forwarding(process):
        status = process.wait()
    return 128 - status if status < 0 else status


@contextlib.contextmanager
def _forwarding(process: subprocess.Popen[bytes]) -> Iterator[None]:
    def forward(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and _terminal_tells_both():
            return
        process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminal_tells_both() -> bool:
    """Whether Ctrl-C reaches the command without our help: a terminal sends it to the whole foreground group.

    A second SIGINT would cut short what the command does on the first; pytest, say, would skip the end of its fixtures.
    """
    return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
