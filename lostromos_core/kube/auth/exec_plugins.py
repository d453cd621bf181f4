"""Kill ``exec`` plug-ins that hang: the official client starts them, and leaves them running when it is cancelled.

They are identified among the children of this process by an environment variable that only they have.
Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#input-and-output-formats.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import time
from typing import TYPE_CHECKING, Final

from lostromos_core import process

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARK: Final = b"\0KUBERNETES_EXEC_INFO="
_LOOKS: Final = 50
"""Attempts to read the environment of a child: it is empty for a moment during ``exec``."""
_PAUSE: Final = 0.001
"""Seconds between two attempts."""


def end_plugins() -> int:
    """Kill the running ``exec`` plug-ins that this process started; return their number. Needs /proc."""
    ended = 0
    for child in _children():
        with contextlib.suppress(OSError):
            if _MARK in b"\0" + _variables(child):
                os.kill(child, signal.SIGKILL)
                ended += 1
    return ended


def _variables(pid: int) -> bytes:
    """Return the environment that a process was started with, empty if it has ended; raises OSError."""
    for _ in range(_LOOKS):
        found = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
        if found or not process.start_time(pid):
            return found
        time.sleep(_PAUSE)
    return b""


def _children() -> Iterator[int]:
    for thread in pathlib.Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            yield from map(int, thread.read_text().split())
