"""Identify the process that began an operation on a release, and tell whether it is gone, and its Helm with it.

The name of a process is a label of the revisions that it makes. Whether a process still runs can only be told within
the same Pod, or on the same machine.
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

from lostromos_core import process

_PROC: Final = pathlib.Path("/proc")
_POD: Final = re.compile(r"/pods/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/")
"""The UID of a Pod, in the paths on the node from which files of its containers are mounted."""


@functools.cache
def this_process() -> str:
    """Return the name of this process, valid as a label: ``MACHINE.PID.START``."""
    pid = os.getpid()
    return f"{_machine()}.{pid}.{process.start_time(pid) or 0}"


def is_gone(name: str) -> bool:
    """Return whether a process is certainly no longer running."""
    machine, _, rest = name.partition(".")
    pid, _, start = rest.partition(".")
    if machine != _machine() or not pid.isdecimal() or sys.platform != "linux":
        return False
    return process.start_time(int(pid)) != start


@functools.cache
def _machine() -> str:
    """Return an id shared by the processes that can see each other: those of the Pod, or of the machine."""
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


def _text(path: pathlib.Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
