"""Name the process that holds a Lease, and detect whether that process has ended."""

from __future__ import annotations

import itertools
import os
import pathlib
import platform
from typing import Final

from lostromos_core import process

present: Final[set[str]] = set()
"""Active holders in this process: several operators may run in it."""
numbers: Final = itertools.count(1)


def me(number: int = 0) -> str:
    """Return the name of a Lease holder: machine, process ID, start time, and a number within the process."""
    return f"{_machine()}_{os.getpid()}_{process.start_time(os.getpid())}.{number}"


def is_over(holder: str) -> bool:
    """Return whether a holder has definitely ended: the Lease was released, or its process on this machine is gone."""
    if not holder:
        return True
    machine, _, pid = holder.rpartition("_")[0].rpartition("_")
    if machine != _machine() or not pid.isdecimal():
        return False
    if int(pid) == os.getpid() and holder not in present:
        return True
    return process.start_time(int(pid)) != holder.rpartition("_")[2].partition(".")[0]


def _machine() -> str:
    """Identify the machine, its boot and the PID namespace, within which process IDs are comparable."""
    try:
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8]
        room = pathlib.Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
    except OSError:
        return platform.node()
    return f"{platform.node()}-{boot}-{room}"
