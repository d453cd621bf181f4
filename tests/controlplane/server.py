"""One server process of a control plane: started with a log, waited for, signalled and stopped by its process id."""

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.controlplane import errors, waiting
from tests.controlplane import guard as guards

READY_WITHIN: Final = 60.0
"""Seconds: ten times what a start takes on a quiet machine, because continuous integration is not one."""

LOG_TAIL: Final = 20
"""Lines of a log that an error shows."""


class Server:
    """A program that runs until it is told to stop; it may be started again.

    It leads a session of its own, so that Ctrl-C in the terminal reaches the owner alone, who then stops the servers in
    their order; should the owner die, the guard kills it.
    """

    def __init__(self, command: Sequence[str], *, log: Path, guard: guards.Guard) -> None:
        self.command = command
        self.name = Path(command[0]).name
        self.log = log
        self._guard = guard
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id. Raises errors.NotRunningError."""
        if self._process is None or self._process.poll() is not None:
            raise errors.NotRunningError(f"{self.name} does not run")
        return self._process.pid

    def start(self) -> None:
        """Start the program, unless it runs."""
        if self.runs:
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.log.parent,
                # Nothing of ours: etcd, for one, takes variables ETCD_* for its flags.
                env={"HOME": str(self.log.parent), "PATH": os.defpath},
                start_new_session=True,
            )
        self._guard.watch(self._process.pid)

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait until `ready()` is true. Raises errors.StartError if the program ends, or READY_WITHIN is over."""
        try:
            waiting.wait_until(
                lambda: ready() or not self.runs, timeout=READY_WITHIN, message=f"{self.name} ready", interval=0.05
            )
        except TimeoutError as error:
            raise errors.StartError(f"{error}\n{self._log_tail()}") from error
        if not self.runs:
            raise errors.StartError(f"{self.name} ended before it was ready\n{self._log_tail()}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program if it runs."""
        if self._process:
            self._process.send_signal(number)

    def stop(self, *, grace: float) -> None:
        """End the program: SIGTERM, and SIGKILL `grace` seconds later. Nothing happens if it does not run."""
        self.send(signal.SIGTERM)
        # A frozen program sees SIGTERM only when it continues.
        self.send(signal.SIGCONT)
        try:
            self._wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the program with SIGKILL and wait until it is gone."""
        self.send(signal.SIGKILL)
        self._wait(None)

    def _wait(self, timeout: float | None) -> None:
        if self._process:
            self._process.wait(timeout)
            self._guard.forget(self._process.pid)
            self._process = None

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_TAIL:])
