"""A control plane that is kept running between shell commands, by a process of its own.

`up` starts that keeper, `python -m tests.controlplane.kept STATE`, which holds a lock on a file as long as it lives; so
whether one is up needs no guessing from process ids, even after a crash of the machine.
"""

import dataclasses
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Final

from tests.controlplane import binaries, cache, cluster, errors, waiting

CHECKOUT: Final = Path(__file__).parents[2]

CONTROLLER_MANAGER: Final = "--controller-manager"

TIMEOUT: Final = 120.0
"""Seconds for the keeper to start or stop everything; its own steps have tighter bounds."""


def default_state() -> Path:
    """Where the kept control plane of this user is, outside any checkout."""
    return cache.folder() / "kept"


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """The kept control plane whose files are in the folder `state`; the same kubeconfig path each time."""

    state: Path

    @property
    def kubeconfig(self) -> Path:
        return self._run / "admin.kubeconfig"

    def up(self, *, controller_manager: bool) -> bool:
        """Start it and wait until it is ready; False if it was up. Raises errors.StartError and errors.BuildError."""
        # Here, where a person sees the progress, and not in the keeper.
        binaries.provide(controller_manager=controller_manager)
        self.state.mkdir(parents=True, exist_ok=True)
        keeper = None if self._is_kept() else self._spawn(controller_manager=controller_manager)
        waiting.wait_until(lambda: self._ready.exists() or not self._is_starting(keeper), timeout=TIMEOUT)
        if not self._ready.exists():
            raise errors.StartError(f"no control plane is up:\n{self._log.read_text(errors='replace')}")
        if controller_manager and not json.loads(self._ready.read_text())["controller_manager"]:
            raise errors.StartError("a control plane without controller manager is up: take it down first")
        return keeper is not None

    def down(self) -> bool:
        """Stop it and wait until nothing is left; False if none was up."""
        if not self._is_kept():
            return False
        # It may still be starting, and tells its process id when it is ready.
        waiting.wait_until(lambda: self._ready.exists() or not self._is_kept(), timeout=TIMEOUT)
        if self._ready.exists():
            os.kill(json.loads(self._ready.read_text())["pid"], signal.SIGTERM)
        waiting.wait_until(lambda: not self._is_kept(), timeout=TIMEOUT, message="the kept control plane down")
        return True

    def keep(self, *, controller_manager: bool) -> None:
        """Be the keeper: run a control plane until SIGTERM. Does nothing if there is a keeper already."""
        lock = self._take_lock()
        if lock is None:
            return
        with lock:
            # A crash of the machine may have left it.
            shutil.rmtree(self._run, ignore_errors=True)
            signal.signal(signal.SIGTERM, lambda *_: sys.exit())
            with cluster.ControlPlane(controller_manager=controller_manager, folder=self._run):
                self._announce(controller_manager=controller_manager)
                try:
                    signal.pause()
                finally:
                    self._ready.unlink()

    def _announce(self, *, controller_manager: bool) -> None:
        facts = {"pid": os.getpid(), "controller_manager": controller_manager}
        # Renamed into place: nobody reads half of it.
        draft = self._ready.with_suffix(".draft")
        draft.write_text(json.dumps(facts))
        draft.rename(self._ready)

    def _spawn(self, *, controller_manager: bool) -> subprocess.Popen[bytes]:
        options = [CONTROLLER_MANAGER] if controller_manager else []
        # A crash of the machine may have left it.
        self._ready.unlink(missing_ok=True)
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.controlplane.kept", self.state.absolute(), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=CHECKOUT,
                start_new_session=True,
            )

    def _is_starting(self, keeper: "subprocess.Popen[bytes] | None") -> bool:
        # Ours may have ended because another `up` was faster.
        return (keeper is not None and keeper.poll() is None) or self._is_kept()

    def _is_kept(self) -> bool:
        if not self.state.exists():
            return False
        lock = self._take_lock()
        if lock is None:
            return True
        lock.close()
        return False

    def _take_lock(self) -> IO[str] | None:
        """The lock, released when the file is closed; None if somebody has it."""
        lock = (self.state / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        return lock

    @property
    def _run(self) -> Path:
        return self.state.absolute() / "run"

    @property
    def _log(self) -> Path:
        return self.state / "keeper.log"

    @property
    def _ready(self) -> Path:
        return self.state / "ready.json"


def main() -> None:
    """The keeper."""
    try:
        Kept(Path(sys.argv[1])).keep(controller_manager=CONTROLLER_MANAGER in sys.argv)
    except errors.ControlPlaneError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
