"""Keep what programs cache about the cluster's kinds as new as what we know.

helm and kubectl keep discovery on disk, for hours. With an outdated cache, Helm takes an object for deleted whose
version is not served any more (it asks for it in that version, and ignores the 404), and leaves it behind. So a program
gets a folder that is named after the kinds that the cluster serves, and a new one when they change.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import shutil
import tempfile
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from lostromos_core.kube.kinds import discovery

AGE: Final = 10.0
"""Seconds that what a program knows may be old, unless it deletes something."""
KEPT: Final = 4
"""Folders that are kept: other processes may use older ones."""
VARIABLE: Final = "KUBECACHEDIR"
"""Environment variable that names the folder. Source: https://kubernetes.io/docs/reference/kubectl/kubectl/"""


@final
class ProgramCache:
    """Hold the folder below ``home``, which is ours alone."""

    def __init__(self, known: discovery.Discovery, home: pathlib.Path) -> None:
        self._discovery = known
        self._home = home
        self._folder = home

    async def variables(self, *, seconds: float = AGE) -> dict[str, str]:
        """Return the environment of a program whose knowledge may be ``seconds`` old; raises ApiError."""
        await self._discovery.everything(seconds=seconds)
        folder = self._home / self._discovery.digest
        if folder != self._folder:
            await asyncio.to_thread(_prepare, folder)
            self._folder = folder
        return {VARIABLE: str(folder)}


def own_folder() -> pathlib.Path:
    """Return our folder among those that kubectl itself would use."""
    chosen = os.environ.get(VARIABLE)
    try:
        return (pathlib.Path(chosen) if chosen else pathlib.Path.home() / ".kube" / "cache") / "lostromos"
    except RuntimeError:  # a user without a home
        return pathlib.Path(tempfile.gettempdir()) / "lostromos-kinds"


def _prepare(folder: pathlib.Path) -> None:
    """Create a folder, and remove the oldest ones beside it. Programs work without a folder, only more slowly."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        others = sorted(folder.parent.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for other in others[KEPT:]:
            shutil.rmtree(other, ignore_errors=True)
