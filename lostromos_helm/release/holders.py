"""Which process began an operation on a release, and whether that process is gone: then its Helm is gone too.

The name of a process is a label of the revisions that it makes. Only of a process of the same Pod, or of the same
machine, can it be told whether it still runs.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pathlib
import re
import socket
import sys
from typing import Final

_PROC: Final = pathlib.Path("/proc")
_POD: Final = re.compile(r"/pods/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/")
"""The uid of a Pod, in the places on the node from which files of its containers are mounted."""
_STARTED: Final = 19
"""When a process began, among what ``/proc/PID/stat`` says behind its name. Source: proc(5), field 22."""


@functools.cache
def this_process() -> str:
    """Return the name of this process, which can be a label: ``MACHINE.PID.START``."""
    pid = os.getpid()
    return f"{_machine()}.{pid}.{_started(pid) or 0}"


def is_gone(name: str) -> bool:
    """Return whether a process certainly does not run any more."""
    machine, _, rest = name.partition(".")
    pid, _, start = rest.partition(".")
    if machine != _machine() or not pid.isdecimal() or sys.platform != "linux":
        return False
    return _started(int(pid)) != start


@functools.cache
def _machine() -> str:
    """What processes have in common of which one can see whether another runs: the Pod, or the machine."""
    pod = _POD.search(_text(_PROC / "self/mountinfo"))
    if pod is not None:
        parts = [pod[1]]
    else:
        parts = [socket.gethostname(), _text(_PROC / "sys/kernel/random/boot_id")]
        try:
            parts.append(str((_PROC / "self/ns/pid").readlink()))
        except OSError:
            parts.append("")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _started(pid: int) -> str:
    """When a process began, in the kernel's units since the machine's start; empty if there is none."""
    fields = _text(_PROC / str(pid) / "stat").rpartition(")")[2].split()
    return fields[_STARTED] if len(fields) > _STARTED and fields[0] not in {"Z", "X"} else ""


def _text(path: pathlib.Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
