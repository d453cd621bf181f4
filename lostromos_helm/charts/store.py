"""Store charts on disk by digest: write each chart once, unmodified, and remove charts that are no longer used."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import tempfile
import time
from typing import TYPE_CHECKING, Final, final

from lostromos_core import errors
from lostromos_helm.charts import chart_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MOST: Final = 1_000_000_000
"""Maximum size of all charts together in bytes."""
IN_USE: Final = 3600.0
"""Seconds since its last use for which a chart is always kept, because Helm may be reading it."""
_NOTES: Final = "references"


@final
class Store:
    """Store each chart in a folder named by its digest; remove the least recently used beyond ``most`` bytes."""

    def __init__(self, folder: pathlib.Path, *, most: int = MOST, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._most = most
        self._clock = clock

    def find(self, digest: str) -> pathlib.Path | None:
        """Return the folder of a digest and record its use; None if it does not exist."""
        folder = self._folder / digest
        if not _is_full(folder):
            return None
        now = self._clock()
        if abs(now - _used(folder)) > IN_USE / 10:
            with contextlib.suppress(OSError):  # a read-only folder is fine
                os.utime(folder, (now, now))
        return folder

    def keep(self, digest: str, files: Mapping[str, bytes]) -> pathlib.Path:
        """Return the folder of a digest with these files, created atomically if needed; raises ConfigError."""
        if found := self.find(digest):
            return found
        self._make_room(sum(map(len, files.values())))
        folder = self._folder / digest
        try:
            scratch = self.scratch(".new-")
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            copy(files, scratch)
            scratch.rename(folder)
        except OSError as error:
            shutil.rmtree(scratch, ignore_errors=True)
            if not _is_full(folder):
                raise self._unwritable(error) from error
        return self.find(digest) or folder

    def scratch(self, prefix: str) -> pathlib.Path:
        """Create a new folder next to the charts."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return pathlib.Path(tempfile.mkdtemp(dir=self._folder, prefix=prefix))

    def noted(self, name: str) -> str:
        """Return the digest recorded for a name; empty if no readable record exists."""
        try:
            return str(json.loads(self._note(name).read_bytes())["digest"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def note(self, name: str, chart: str, digest: str) -> None:
        """Record the digest of a name atomically: a crash leaves either the old record or the new one."""
        path = self._note(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}-{os.getpid()}")
        scratch.write_bytes(json.dumps({"chart": chart, "digest": digest}).encode())
        scratch.replace(path)

    def _note(self, name: str) -> pathlib.Path:
        return self._folder / _NOTES / f"{name}.json"

    def _unwritable(self, error: OSError) -> errors.ConfigError:
        return errors.ConfigError(
            f"chart: the cache {self._folder} cannot be written: {error.strerror}; name another with `cache`"
        )

    def _make_room(self, size: int) -> None:
        """Remove least recently used charts and leftovers of crashes; raises ProcessError if the rest is in use."""
        if not self._folder.is_dir():
            return
        old = self._clock() - IN_USE
        used = [(_used(path), path) for path in self._folder.iterdir() if path.is_dir() and path.name != _NOTES]
        sizes = {path: _size(path) for _, path in used}
        total = size + sum(sizes.values())
        for when, path in sorted(used):
            if when < old and (total > self._most or path.name.startswith(".")):
                shutil.rmtree(path, ignore_errors=True)
                total -= sizes[path]
        if total > self._most:
            msg = (
                f"chart: the cache {self._folder} is full: {self._most:,} bytes of charts were used within the last "
                "hour; allow fewer charts, or wait"
            )
            raise errors.ProcessError(msg)
        self._forget_notes()

    def _forget_notes(self) -> None:
        """Remove records of charts that no longer exist."""
        for path in (self._folder / _NOTES).glob("*.json"):
            if not (self._folder / (self.noted(path.stem) or ".")).is_dir():
                path.unlink(missing_ok=True)


def copy(files: Mapping[str, bytes], target: pathlib.Path) -> None:
    """Write files below a folder."""
    for name, content in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _is_full(folder: pathlib.Path) -> bool:
    """Return whether a chart's folder exists in the cache and is not empty."""
    return folder.is_dir() and any(folder.iterdir())


def _used(folder: pathlib.Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _size(folder: pathlib.Path) -> int:
    found = 0
    for file in chart_files.of(folder):
        with contextlib.suppress(OSError):
            found += file.stat().st_size
    return found
