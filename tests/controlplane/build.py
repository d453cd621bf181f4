"""Builds the programs from Go modules: one binary that is each of them by the name it is called by."""

import collections
import contextlib
import dataclasses
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

BINARY: Final = "kube"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What is built of a module: `packages`, with a version at places that the linker knows, told about as `title`."""

    title: str
    packages: Sequence[str] = (".",)
    versions: Sequence[str] = ()


def build(sources: Path, *, target: Path, recipe: Recipe, names: Sequence[str] = ()) -> None:
    """Build the module in `sources` into the folder `target`; one program that has several `names` gets links.

    Guarantees: `target` appears complete or not at all; of two builds at once the second waits for the first and does
    nothing. Shows progress on standard error. Raises errors.BuildError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target), tempfile.TemporaryDirectory(prefix=".build-", dir=target.parent) as scratch:
        if target.exists():
            return
        complete = Path(scratch, "complete")
        complete.mkdir()
        _compile(sources, output=complete / BINARY if names else complete, recipe=recipe)
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


def _compile(sources: Path, *, output: Path, recipe: Recipe) -> None:
    go = toolchain.provide(sources)
    title = f"Building {recipe.title} with {go}: minutes, but only once"
    count = _Count()
    flags = " ".join(["-s", "-w", *(f"-X {variable}" for variable in recipe.versions)])
    where = f"{output}{os.sep}" if output.is_dir() else output
    command: list[str | Path] = [go, "build", "-v", "-trimpath", "-ldflags", flags, "-o", where, *recipe.packages]
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
