"""Fetch and check charts once, and keep them on disk by digest, so that files never change while Helm reads them."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import hashlib
import json
import pathlib
import re
import shutil
import time
import weakref
from typing import TYPE_CHECKING, Any, Final, final

import structlog
import yaml

from lostromos_core import errors
from lostromos_helm.charts import chart_files, store
from lostromos_helm.helm import binary, goyaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lostromos_helm.charts import references

_log = structlog.get_logger("lostromos.helm")

LOOK: Final = 2.0
"""Seconds between checks of charts on this machine."""
KEPT: Final = 1000
"""Charts that are remembered without reading them again."""
_ARCHIVE: Final = "chart.tgz"
_FOLDER: Final = "chart"
"""Name of a chart's folder in the cache; the original may have none (``.``), and Helm ignores the name."""
_SCHEMA: Final = "values.schema.json"
_PULLED: Final = re.compile(r"Digest:\s*(sha256:[0-9a-f]{64})")


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Chart:
    """Describe one state of a chart. Helm is given ``path``, whose content never changes."""

    path: pathlib.Path
    digest: str
    name: str
    version: str
    app_version: str

    def keys(self, path: Sequence[str | int]) -> Sequence[str]:
        """Return the keys that the schema defines at a path into the values; empty if they cannot be found."""
        try:
            schema = json.loads(dict(chart_files.texts(self.path, _SCHEMA.__eq__)).get(_SCHEMA, ""))
            for step in path:
                schema = schema["items"] if isinstance(step, int) else schema["properties"][step]
            return [str(key) for key in schema["properties"]]
        except (errors.ConfigError, ValueError, LookupError, TypeError, RecursionError):
            return ()


@final
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Hold access options for repositories and registries: credentials and CA files, and plain HTTP."""

    registry_config: str = ""
    ca_file: str = ""
    plain_http: bool = False

    def flags(self) -> Sequence[str]:
        """Return the options as arguments of ``helm pull``."""
        named = {"registry-config": self.registry_config, "ca-file": self.ca_file}
        return binary.flags(named, ["plain-http"] if self.plain_http else [])


@final
class Charts:
    """Provide one controller's charts from a cache that outlives the process; call ``changed`` when a chart changes."""

    def __init__(self, helm: binary.Helm, cache: pathlib.Path, access: Access, changed: Callable[[], None]) -> None:
        self._helm = helm
        self._store = store.Store(cache)
        self._home = cache.parent
        self._access = access
        self._changed = changed
        self._known: collections.OrderedDict[references.Reference, tuple[object, Chart]] = collections.OrderedDict()
        self._locks: weakref.WeakValueDictionary[references.Reference, asyncio.Lock] = weakref.WeakValueDictionary()

    async def get(self, reference: references.Reference) -> Chart:
        """Return a chart, fetched or read if not known; raises ConfigError, or ProcessError if it cannot be fetched."""
        if chart := self._at_hand(reference):
            return chart
        lock = self._locks.setdefault(reference, asyncio.Lock())
        async with lock:
            if chart := self._at_hand(reference):
                return chart
            signature = self._signature(reference.path) if reference.path else None
            chart = self._take(reference.path) if reference.path else await self._fetch(reference)
            self._known[reference] = signature, chart
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
            return chart

    def _at_hand(self, reference: references.Reference) -> Chart | None:
        """Return a known chart that is still in the cache, which may have been cleaned up; otherwise None."""
        known = self._known.get(reference)
        if known is None or not known[1].path.exists():
            return None
        self._known.move_to_end(reference)
        self._store.find(known[1].digest)
        return known[1]

    async def look(self) -> None:
        """Check the charts on this machine for changes until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            for reference, (signature, chart) in list(self._known.items()):
                if reference.path and self._is_new(reference.path, signature, chart, reference):
                    self._changed()

    def _is_new(self, path: pathlib.Path, signature: object, chart: Chart, reference: references.Reference) -> bool:
        now = self._signature(path)
        if now == signature:
            return False
        try:
            read = self._take(path)
        except errors.ConfigError as error:
            _log.warning("the chart cannot be read; the last one is used", chart=str(path), error=str(error))
            return False
        self._known[reference] = now, read
        return read.digest != chart.digest

    def _signature(self, path: pathlib.Path) -> object:
        """Return a value that changes with the chart, without reading it; ignore a cache in the chart's own folder."""
        files = chart_files.of(path, self._home) if path.is_dir() else [path]
        try:
            return sorted((str(file), (at := file.stat()).st_mtime_ns, at.st_size, at.st_ino) for file in files)
        except OSError:
            return time.monotonic()

    def _take(self, path: pathlib.Path) -> Chart:
        """Copy a chart from this machine into the cache, with exactly the content that its digest was computed from."""
        if path.is_dir():
            files = chart_files.read_all(path, self._home)
            if "Chart.yaml" not in files:
                msg = f"chart: the folder {path} has no Chart.yaml; name a chart's folder, or a .tgz file"
                raise errors.ConfigError(msg)
            summed = hashlib.sha256()
            for name, content in sorted(files.items()):
                summed.update(f"{len(name)} {name} {len(content)} ".encode() + content)
            digest = summed.hexdigest()
            kept = {f"{_FOLDER}/{name}": content for name, content in files.items()}
            return _describe(self._store.keep(digest, kept), digest)
        if not path.is_file():
            msg = f"chart: {path} does not exist; create it, or correct the path (relative to the configuration file)"
            raise errors.ConfigError(msg)
        return self._keep_archive(chart_files.read(path))

    async def _fetch(self, reference: references.Reference) -> Chart:
        """Return a chart from a repository or registry, or from the cache if it was fetched before."""
        name = hashlib.sha256(f"{reference}@{reference.digest}".encode()).hexdigest()
        digest = self._store.noted(name)
        if digest and (folder := self._store.find(digest)):
            return _describe(folder, digest)
        scratch = self._store.scratch(".pull-")
        try:
            said = await self._pull(reference, str(scratch))
            content = chart_files.read(_only_archive(str(scratch), reference))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        _check(reference, hashlib.sha256(content).hexdigest(), said)
        chart = self._keep_archive(content)
        self._store.note(name, str(reference), chart.digest)
        if not reference.digest:
            _log.info("the chart was fetched; pin it by adding its digest", chart=f"{reference}@sha256:{chart.digest}")
        return chart

    async def _pull(self, reference: references.Reference, folder: str) -> str:
        what = f"{reference.repository}/{reference.name}" if reference.oci else reference.name
        command = ["pull", what, f"--version={reference.version}", f"--destination={folder}", *self._access.flags()]
        if not reference.oci:
            command.append(f"--repo={reference.repository}")
        done = await self._helm.run(*command, offline=True)
        said = (done.output + done.errors).decode(errors="replace")
        if done.status:
            why = errors.shorten(said.rpartition("Error:")[2].strip(), 300)
            msg = f"fetch the chart {reference}: {why or f'helm exited with status {done.status}'}"
            raise errors.ProcessError(msg)
        return said

    def _keep_archive(self, content: bytes) -> Chart:
        digest = hashlib.sha256(content).hexdigest()
        return _describe(self._store.keep(digest, {_ARCHIVE: content}), digest)


def _only_archive(folder: str, reference: references.Reference) -> pathlib.Path:
    """Return the archive that Helm fetched; raises ProcessError if there is not exactly one."""
    found = list(pathlib.Path(folder).glob("*.tgz"))
    if len(found) != 1:
        raise errors.ProcessError(f"fetch the chart {reference}: helm fetched {len(found)} archives instead of one")
    return found[0]


def _check(reference: references.Reference, digest: str, said: str) -> None:
    """Raise ConfigError if an archive does not have the requested digest."""
    manifest = _PULLED.search(said)
    found = {f"sha256:{digest}", *((manifest.group(1),) if manifest else ())}
    if reference.digest and reference.digest not in found:
        msg = (
            f"chart: {reference} has the digest sha256:{digest}, but {reference.digest} is requested: the chart "
            "was changed, or the digest belongs to another one"
        )
        raise errors.ConfigError(msg)


def _describe(folder: pathlib.Path, digest: str) -> Chart:
    """Read the description of a cached chart from its Chart.yaml; raises ConfigError."""
    archive = folder / _ARCHIVE
    path = archive if archive.is_file() else next(one for one in folder.iterdir() if one.is_dir())
    text = dict(chart_files.texts(path, "Chart.yaml".__eq__)).get("Chart.yaml")
    if not text:
        msg = f"chart: {path} has no Chart.yaml, so it is not a chart"
        raise errors.ConfigError(msg)
    about = _mapping(text, f"{path}/Chart.yaml")
    name, version = str(about.get("name", "")), str(about.get("version", ""))
    return Chart(path, digest, name, version, str(about.get("appVersion") or ""))


def _mapping(text: str, where: str) -> Mapping[str, Any]:
    """Read a mapping as Helm does; raises ConfigError."""
    try:
        data = goyaml.read(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise errors.ConfigError(f"chart: {where}: {errors.shorten(str(error), 200)}") from error
    if data is not None and not isinstance(data, dict):
        raise errors.ConfigError(f"chart: {where}: must be a mapping")
    return data or {}
