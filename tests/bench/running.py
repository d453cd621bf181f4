"""The operator as a process: started as its users start it, with the moments that its log names."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests import operators
from tests.bench import processes
from tests.controlplane import guard

STARTED: Final = "controller started"
"""Says the log when everything is read, imported and connected, and the watch begins."""
KNOWN: Final = "all resources are known"
STOPS_WITHIN: Final = 25.0
TAIL: Final = 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a line of the log came (`time.perf_counter`), and the CPU that the operator had used by then, in seconds."""

    at: float
    cpu: float


class OperatorEndedError(Exception):
    """The operator ended, or did not say what it should; the message ends with the last lines of its log."""


class Operator:
    """`lostromos run`, for a `with` block. With `profile`, under cProfile, which writes that file at the end."""

    def __init__(
        self,
        project: operators.Project,
        kubeconfig: Path,
        *,
        watchman: guard.Guard,
        profile: Path | None = None,
    ) -> None:
        profiler = [sys.executable, "-m", "cProfile", "-o", str(profile)] if profile else []
        command = [operators.LOSTROMOS, "run", "--config", str(project.config), "--kubeconfig", str(kubeconfig)]
        self._command = [*profiler, *command, "--log-format", "json"]
        self._watchman = watchman
        self._moments: dict[str, Moment] = {}
        self._lines: list[str] = []
        self._said = threading.Condition()

    def __enter__(self) -> Self:
        self.begin = time.perf_counter()
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True, env=os.environ)
        self._watchman.watch(self.pid)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._watchman.forget(self.pid)
        self._reader.join()
        if error is not None:
            error.add_note(self._tail())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def moments(self) -> Mapping[str, Moment]:
        """When each text came first in the log."""
        return self._moments

    def wait_for(self, text: str, *, within: float) -> Moment:
        """Wait until the log has a line with this text. Raises OperatorEndedError."""
        with self._said:
            self._said.wait_for(lambda: text in self._moments or self._process.poll() is not None, within)
        if text not in self._moments:
            raise OperatorEndedError(f"the operator did not say {text!r}:\n{self._tail()}")
        return self._moments[text]

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self._note(line)
        with self._said:
            self._said.notify_all()

    def _note(self, line: str) -> None:
        now = time.perf_counter()
        self._lines = [*self._lines[1 - TAIL :], line]
        # It may end between the line and the look.
        with contextlib.suppress(ValueError, KeyError, TypeError, OSError), self._said:
            event = json.loads(line)["event"]
            self._moments.setdefault(event, Moment(at=now, cpu=processes.cpu(self.pid)))
            self._said.notify_all()

    def _tail(self) -> str:
        return "".join(self._lines)
