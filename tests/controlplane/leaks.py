"""What a piece of code left behind in this process: child processes and threads that nobody ended."""

import contextlib
import dataclasses
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Self


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """The children and the non-daemon threads of this process at one moment."""

    children: frozenset[int]
    threads: frozenset[threading.Thread]

    @classmethod
    def take(cls) -> Self:
        """The snapshot of now."""
        threads = (thread for thread in threading.enumerate() if not thread.daemon)
        return cls(frozenset(_children()), frozenset(threads))

    def new(self, *, known: Collection[int]) -> list[str]:
        """What is there now, was not at the time of this snapshot and is not among the known process ids; in words."""
        now = Snapshot.take()
        processes = now.children - self.children - frozenset(known)
        threads = now.threads - self.threads
        return [f"process {pid}: {_command(pid)}" for pid in processes] + [f"{thread}" for thread in threads]


def _children() -> set[int]:
    """The process ids of all children, even those that ended and were not waited for. Linux only; elsewhere none."""
    pids: set[int] = set()
    for listing in Path("/proc/self/task").glob("*/children"):
        # A thread may end while we look.
        with contextlib.suppress(OSError):
            pids.update(int(pid) for pid in listing.read_text().split())
    return pids


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "(gone)"
    return b" ".join(words).decode(errors="replace").strip() or "(ended, and nobody waited for it)"
