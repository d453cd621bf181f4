"""Run programs: input on stdin, a time limit, no shell, no processes left behind."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import dataclasses
import functools
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Final, Protocol, final

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KILL_AFTER = 5.0
"""Seconds between SIGTERM and SIGKILL."""


_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
if sys.version_info >= (3, 12):
    # Only one system call runs between fork and exec, and it needs no lock that another thread might hold.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded, use of fork", DeprecationWarning)


@functools.cache
def _launcher() -> Sequence[str]:
    """Return the command of a util-linux program that sets PR_SET_PDEATHSIG; empty if it is not available.

    Python can start it without a copy of our page tables, which takes several milliseconds in which nothing else runs.
    """
    found = shutil.which("setpriv")
    if found is None or sys.platform != "linux":
        return ()
    told = subprocess.run([found, "--help"], capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
    return (found, "--pdeathsig", "KILL", "--") if "--pdeathsig" in told.stdout else ()


def _die_with_parent() -> None:
    """Ask the kernel to kill this child when its parent dies; runs in the child. Source: prctl(2), PR_SET_PDEATHSIG."""
    assert _LIBC is not None  # noqa: S101 - the caller has checked
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Completed:
    """Hold the result of a program that ended: its exit status and what it wrote."""

    status: int
    output: bytes
    errors: bytes


class Runner(Protocol):
    """Run one program."""

    async def __call__(
        self,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        environment: Mapping[str, str],
        timeout: float,  # noqa: ASYNC109 - part of the Runner's contract
    ) -> Completed:
        """Run it to its end; raises ProcessError if it cannot be started or takes more than ``timeout`` seconds."""


def find(name: str, given: str = "", *, also: str = "") -> str:
    """Return the path of a program: the ``given`` one, or the one of this name on PATH, or in the folder ``also``.

    Raises ProcessError that says what is missing.
    """
    found = shutil.which(given or name) or (shutil.which(name, path=also) if also and not given else None)
    if found is None:
        raise errors.ProcessError(f"{given} does not exist or is not executable" if given else f"{name} is not on PATH")
    return found


_START_TIME: Final = 19
"""Index of the start time among the fields after the name of the program."""


def start_time(pid: int) -> str:
    """Return the start time of a process in clock ticks since boot; empty if it has ended. Source: proc(5)."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return fields[_START_TIME] if len(fields) > _START_TIME and fields[0] not in {"Z", "X"} else ""


async def run(
    command: Sequence[str],
    *,
    stdin: bytes = b"",
    environment: Mapping[str, str],
    timeout: float,  # noqa: ASYNC109 - part of the Runner's contract
) -> Completed:
    """Run a real process that ends with us: it is terminated on cancellation, and killed if we are killed.

    The kernel kills it when the thread that started it ends, so call this in the main thread's event loop.
    """
    if shutil.which(command[0]) is None:
        msg = f"{command[0]} cannot be started: it does not exist or is not executable"
        raise errors.ProcessError(msg)
    child = _Child(command, environment, stdin)
    try:
        async with asyncio.timeout(timeout):
            return await child.communicate()
    except TimeoutError as error:
        msg = f"{command[0]} took longer than {timeout:g} s and was stopped"
        raise errors.ProcessError(msg) from error
    finally:
        await child.end()


@final
class _Child:
    """Run a process as ``subprocess`` does: uvloop's own way copies our page tables, milliseconds each time."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], stdin: bytes) -> None:
        launcher = _launcher()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - no shell
                [*launcher, *command],
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(environment),
                preexec_fn=_die_with_parent if _LIBC is not None and not launcher else None,  # noqa: PLW1509 - see above
            )
        except OSError as error:
            msg = f"{command[0]} cannot be started: {error.strerror or error}"
            raise errors.ProcessError(msg) from error
        self._stdin = stdin
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        threading.Thread(target=self._wait, name=f"wait for {self._process.pid}", daemon=True).start()

    async def communicate(self) -> Completed:
        """Write the input, read all output, and wait for the end."""
        process, outputs = self._process, []
        with contextlib.ExitStack() as opened:
            for pipe in (process.stdout, process.stderr):
                reading, output = await self._loop.connect_read_pipe(_Output, pipe)
                opened.callback(reading.close)
                outputs.append(output)
            if process.stdin is not None:
                writing, _ = await self._loop.connect_write_pipe(asyncio.BaseProtocol, process.stdin)
                opened.callback(writing.close)
                writing.write(self._stdin)
                writing.write_eof()
            read = [await output.read() for output in outputs]
            await self._ended.wait()
        return Completed(process.returncode, *read)

    async def end(self) -> None:
        """End the process if it still runs: terminate it first, then kill it."""
        if self._ended.is_set():
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(KILL_AFTER):
                await self._ended.wait()
        except TimeoutError:
            self._process.kill()
            await self._ended.wait()

    def _wait(self) -> None:
        """Wait for the process in a thread: nothing else works on every system and with every event loop."""
        self._process.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed, so nothing waits
            self._loop.call_soon_threadsafe(self._ended.set)


@final
class _Output(asyncio.Protocol):
    """Collect the output of a pipe until its other end is closed."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._closed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        self._closed.set()

    async def read(self) -> bytes:
        """Return all output, once the pipe is closed."""
        await self._closed.wait()
        return b"".join(self._parts)


_conforms: Runner = run
