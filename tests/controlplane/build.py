"""Builds the programs from Go modules: one binary that is each of them by the name it is called by."""

import collections
import contextlib
import datetime as dt
import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.controlplane import errors, progress, toolchain

VERSION_VARIABLES: Final = ("k8s.io/component-base/version.gitVersion", "k8s.io/client-go/pkg/version.gitVersion")
"""Where the linker writes the release; without it the server calls itself v0.0.0-master and clients complain."""

BINARY: Final = "kube"


def build(sources: Path, *, target: Path, names: Sequence[str], version: str) -> None:
    """Build the module in `sources` into the folder `target`, with a symbolic link for each name.

    Guarantees: `target` appears complete or not at all; of two builds at once the second waits for the first and does
    nothing. Shows progress on standard error. Raises errors.BuildError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target), tempfile.TemporaryDirectory(prefix=".build-", dir=target.parent) as scratch:
        if target.exists():
            return
        complete = Path(scratch, "complete")
        complete.mkdir()
        _compile(sources, output=complete / BINARY, version=version)
        for name in names:
            (complete / name).symlink_to(BINARY)
        complete.rename(target)


@contextlib.contextmanager
def _locked(target: Path) -> Iterator[None]:
    with target.with_name(target.name + ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.tell(f"Another build of {target.name} runs: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _compile(sources: Path, *, output: Path, version: str) -> None:
    go = toolchain.provide(sources)
    title = f"Building etcd and Kubernetes {version} with {go}: minutes (6 on two cores), but only once"
    count = _Count()
    flags = ["-s", "-w", *(f"-X {variable}={version}" for variable in VERSION_VARIABLES)]
    command: list[str | Path] = [go, "build", "-v", "-trimpath", "-ldflags", " ".join(flags), "-o", output, "."]
    with progress.shown(title, describe=count.describe), _running(command, folder=sources) as process:
        assert process.stderr is not None  # it was opened as a pipe
        for line in process.stderr:
            count.add(line.rstrip())
        if status := process.wait():
            raise errors.BuildError(f"go build ended with status {status}:\n{count.tail()}")


@contextlib.contextmanager
def _running(command: Sequence[str | Path], *, folder: Path) -> Iterator[subprocess.Popen[str]]:
    # No C compiler is needed; our flags are all there are; a workspace file above the checkout is none of our business.
    environment = os.environ | {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-buildvcs=false",
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
    }
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        except BaseException:
            process.terminate()
            raise


class _Count:
    """Counts what `go build -v` says on standard error: a line a module to download, a line a package to compile."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._modules = self._packages = 0
        self._tail: collections.deque[str] = collections.deque(maxlen=20)

    def add(self, line: str) -> None:
        self._tail.append(line)
        if line.startswith("go: downloading"):
            self._modules += 1
        else:
            self._packages += 1

    def describe(self) -> str:
        elapsed = dt.timedelta(seconds=int(time.monotonic() - self._started))
        return f"{self._modules} modules downloaded, {self._packages} packages compiled, {elapsed}"

    def tail(self) -> str:
        return "\n".join(self._tail)
