"""Name the process that holds a Lease, and tell whether that process has ended."""

from __future__ import annotations

import itertools
import os
import pathlib
import platform
from typing import Final

present: Final[set[str]] = set()
"""The holders of this process that have not ended: several operators may run in it."""


numbers: Final = itertools.count(1)


def me(number: int = 0) -> str:
    """Return a name for the holder of a Lease: machine, process id, when it was started, and a number in it."""
    return f"{_machine()}_{os.getpid()}_{_started(os.getpid())}.{number}"


def is_over(holder: str) -> bool:
    """Return whether a holder has certainly ended: it gave the Lease back, or it is a process here that is no more."""
    if not holder:
        return True
    machine, _, process = holder.rpartition("_")[0].rpartition("_")
    if machine != _machine() or not process.isdecimal():
        return False
    if int(process) == os.getpid() and holder not in present:
        return True
    return _started(int(process)) != holder.rpartition("_")[2].partition(".")[0]


def _machine() -> str:
    """The machine, since when it runs, and the room of process ids: where a process id means the same as here."""
    try:
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8]
        room = pathlib.Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
    except OSError:
        return platform.node()
    return f"{platform.node()}-{boot}-{room}"


def _started(process: int) -> str:
    """When a process was started, in the kernel's ticks; empty if it has ended. Source: proc(5)."""
    try:
        text = pathlib.Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] in {"Z", "X"} else fields[19]
