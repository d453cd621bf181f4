"""The guard of a control plane: a process that cleans up when the owner is gone, however it went.

Its standard input is a pipe from the owner, who writes `+PID` for a server that started and `-PID` for one that ended.
The kernel closes the pipe when the owner ends, even by `kill -9`; then the guard kills the servers that are left and
removes the folder. (Death signals, PR_SET_PDEATHSIG, fire when the starting *thread* ends, and would leave the folder.)
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

GIVE_UP_AFTER = 5.0
"""Seconds to wait for killed servers to disappear: where nobody reaps orphans they stay as zombies for ever."""


class Guard:
    """The owner's end of the pipe."""

    def __init__(self, folder: Path) -> None:
        """Start the guard of this folder, in a session of its own: Ctrl-C must not reach it."""
        self._process = subprocess.Popen(
            # -I -S: only the standard library is needed, and a start of 15 ms.
            [sys.executable, "-I", "-S", __file__, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            text=True,
        )

    @property
    def pid(self) -> int:
        """The guard's own process id."""
        return self._process.pid

    def watch(self, pid: int) -> None:
        """Have this process killed when the owner goes."""
        self._write(f"+{pid}\n")

    def forget(self, pid: int) -> None:
        """Leave this process alone: it is gone, and its id may become somebody else's."""
        self._write(f"-{pid}\n")

    def close(self) -> None:
        """Have everything cleaned up now, and wait for it."""
        self._process.communicate()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None  # it was opened as a pipe
        self._process.stdin.write(line)
        self._process.stdin.flush()


def main() -> None:
    """The guard: wait for the end of the owner, then clean up."""
    pids: set[int] = set()
    for line in sys.stdin:
        change = pids.add if line.startswith("+") else pids.discard
        change(int(line[1:]))
    # Aside at once: whoever starts anew in the same folder must not lose it to us.
    aside = f"{sys.argv[1]}.{os.getpid()}"
    Path(sys.argv[1]).rename(aside)
    _kill(pids)
    shutil.rmtree(aside, ignore_errors=True)


def _kill(pids: set[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    # A dying server may still write to its folder.
    deadline = time.monotonic() + GIVE_UP_AFTER
    while any(_exists(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main()
