"""Hold the options for a controller's releases."""

from __future__ import annotations

import atexit
import dataclasses
import os
import pathlib
import shutil
import tempfile
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict, final

import structlog

from lostromos_helm.charts import chart_cache

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_log = structlog.get_logger("lostromos.helm")

DriftMode: TypeAlias = Literal["repair", "warn", "off"]
OnDelete: TypeAlias = Literal["uninstall", "orphan"]
Conflicts: TypeAlias = Literal["force", "fail"]


class Keywords(TypedDict, total=False):
    """List the same options as Settings, for signatures."""

    allow: Sequence[str]
    base: pathlib.Path
    prefix: str | None
    namespace: str
    create_namespace: bool
    wait: bool
    atomic: bool
    hooks: bool
    history: int
    timeout: float
    adopt: bool
    on_delete: OnDelete
    conflicts: Conflicts
    drift: DriftMode
    ignore: Mapping[str, Sequence[str]]
    binary: str
    processes: int
    cache: str
    inventory_namespace: str
    access: chart_cache.Access


def writable(folder: pathlib.Path) -> pathlib.Path:
    """Return a writable folder: this one, or otherwise a temporary one that is removed when this process exits."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        made = pathlib.Path(tempfile.mkdtemp(prefix="lostromos-helm-"))
        atexit.register(shutil.rmtree, made, ignore_errors=True)
        _log.warning(
            "the cache for charts cannot be written: each start fetches them again, and outside of a cluster no "
            "release is known as sealed; name a folder with `cache`",
            folder=str(folder),
            error=error.strerror or str(error),
        )
        return made


@final
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Hold the options for making and maintaining releases.

    ``allow``: patterns of charts that a resource may name, with paths relative to ``base``. ``prefix``: the prefix of
    release names; None means the controller's name. ``namespace``: the namespace of all releases; empty means the
    resource's own. ``wait`` and ``atomic``: Helm waits for readiness, and rolls back failures. ``history``: revisions
    kept of each release. ``timeout``: seconds for one operation. ``adopt``: take over releases and objects that are
    not the resource's. ``conflicts``: with Helm 4, whether to take fields of other managers. ``processes``: maximum
    number of Helm processes at the same time.
    """

    allow: Sequence[str] = ()
    base: pathlib.Path = pathlib.Path()
    prefix: str | None = None
    namespace: str = ""
    create_namespace: bool = False
    wait: bool = False
    atomic: bool = False
    hooks: bool = True
    history: int = 10
    timeout: float = 300.0
    adopt: bool = False
    on_delete: OnDelete = "uninstall"
    conflicts: Conflicts = "force"
    drift: DriftMode = "repair"
    ignore: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    binary: str = ""
    processes: int = 4
    cache: str = ""
    inventory_namespace: str = ""
    access: chart_cache.Access = dataclasses.field(default_factory=chart_cache.Access)

    def prefix_of(self, controller: str) -> str:
        """Return the prefix of the names of a controller's releases."""
        return controller if self.prefix is None else self.prefix

    @property
    def waits(self) -> bool:
        """Return whether Helm waits until objects are ready."""
        return self.wait or self.atomic

    @property
    def folder(self) -> pathlib.Path:
        """Return the folder of charts and Helm's own caches."""
        if self.cache:
            return pathlib.Path(self.cache)
        base = os.environ.get("XDG_CACHE_HOME") or str(pathlib.Path.home() / ".cache")
        return pathlib.Path(base) / "lostromos" / "helm"
