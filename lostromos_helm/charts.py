"""Charts on disk: fetched once, checked, and kept by their digest, so that what Helm reads never changes under it."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shutil
import tarfile
import tempfile
import time
from typing import TYPE_CHECKING, Any, Final, final

import structlog
import yaml

from lostromos_core import errors
from lostromos_helm import binary, goyaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lostromos_helm import references

_log = structlog.get_logger("lostromos.helm")

LOOK: Final = 2.0
"""Seconds between looks at charts that lie on this machine."""
LARGEST: Final = 50_000_000
"""Bytes of one chart."""
_ABOUT: Final = frozenset({"Chart.yaml", "values.yaml", "values.schema.json"})
_UNQUOTED: Final = re.compile(r"(?:^|[:\s-])\{\{-?\s*\.Values\.[\w.]+\s*-?\}\}(?!\S*[\"'])")
"""A value that stands in YAML as it is: with no quotes around it, and through no function."""
_PULLED: Final = re.compile(r"Digest:\s*(sha256:[0-9a-f]{64})")


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Chart:
    """One chart in one state. ``path`` is what Helm is given, and never changes. ``schema`` is of its values.

    Without the defaults, if they cannot be read, nothing can be held against a schema: that is left to Helm.
    """

    path: pathlib.Path
    digest: str
    name: str
    version: str
    app_version: str
    defaults: Mapping[str, Any]
    schema: Mapping[str, Any] | None


@final
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How repositories and registries are reached: files with credentials, a certificate authority, plain HTTP."""

    registry_config: str = ""
    ca_file: str = ""
    plain_http: bool = False

    def flags(self) -> Sequence[str]:
        """As arguments of ``helm pull``."""
        named = {"registry-config": self.registry_config, "ca-file": self.ca_file}
        return binary.flags(named, ["plain-http"] if self.plain_http else [])


@final
class Charts:
    """The charts of one controller, in a cache that outlives the process. ``changed`` is called when one is new."""

    def __init__(self, helm: binary.Helm, cache: pathlib.Path, access: Access, changed: Callable[[], None]) -> None:
        self._helm = helm
        self._cache = cache
        self._access = access
        self._changed = changed
        self._known: dict[references.Reference, tuple[object, Chart]] = {}
        self._locks: dict[references.Reference, asyncio.Lock] = {}

    async def get(self, reference: references.Reference) -> Chart:
        """A chart, fetched or read if it is not known; raises ConfigError, or ProcessError if it cannot be fetched."""
        if chart := self._at_hand(reference):
            return chart
        async with self._locks.setdefault(reference, asyncio.Lock()):
            if chart := self._at_hand(reference):
                return chart
            signature = _signature(reference.path) if reference.path else None
            chart = self._take(reference.path) if reference.path else await self._fetch(reference)
            self._known[reference] = signature, chart
            return chart

    def _at_hand(self, reference: references.Reference) -> Chart | None:
        """A chart that is known and still in the cache: somebody may have cleaned that up."""
        known = self._known.get(reference)
        return known[1] if known is not None and known[1].path.exists() else None

    async def look(self) -> None:
        """Look for changes of charts that lie on this machine, until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            for reference, (signature, chart) in list(self._known.items()):
                if reference.path and self._is_new(reference.path, signature, chart, reference):
                    self._changed()

    def _is_new(self, path: pathlib.Path, signature: object, chart: Chart, reference: references.Reference) -> bool:
        now = _signature(path)
        if now == signature:
            return False
        try:
            read = self._take(path)
        except errors.ConfigError as error:
            _log.warning("the chart cannot be read; the last one is used", chart=str(path), error=str(error))
            return False
        self._known[reference] = now, read
        return read.digest != chart.digest

    def _take(self, path: pathlib.Path) -> Chart:
        """A chart of this machine, copied by its digest."""
        if path.is_dir():
            files = {file.relative_to(path).as_posix(): file for file in _files(path)}
            if "Chart.yaml" not in files:
                msg = f"chart: the folder {path} holds no Chart.yaml; name a chart's folder, or a .tgz file"
                raise errors.ConfigError(msg)
            summed = hashlib.sha256()
            for name, file in sorted(files.items()):
                content = _read(file)
                summed.update(f"{len(name)} {name} {len(content)} ".encode() + content)
            digest = summed.hexdigest()
            return _describe(self._keep(digest, lambda target: _copy(files, target / path.name)), digest)
        if not path.is_file():
            msg = f"chart: {path} does not exist; create it, or correct the path (relative to the configuration file)"
            raise errors.ConfigError(msg)
        return self._keep_archive(_read(path))

    async def _fetch(self, reference: references.Reference) -> Chart:
        """A chart of a repository or registry, out of the cache if it was fetched before."""
        noted = self._note(reference)
        digest = _noted(noted)
        if digest and _is_full(self._cache / digest):
            return _describe(self._cache / digest, digest)
        self._cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._cache, prefix=".pull-") as scratch:
            said = await self._pull(reference, scratch)
            content = _read(_only_archive(scratch, reference))
        _check(reference, hashlib.sha256(content).hexdigest(), said)
        chart = self._keep_archive(content)
        _write_at_once(noted, json.dumps({"chart": str(reference), "digest": chart.digest}).encode())
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
            msg = f"fetch the chart {reference}: {why or f'helm ended with status {done.status}'}"
            raise errors.ProcessError(msg)
        return said

    def _keep_archive(self, content: bytes) -> Chart:
        digest = hashlib.sha256(content).hexdigest()
        return _describe(self._keep(digest, lambda target: (target / "chart.tgz").write_bytes(content)), digest)

    def _keep(self, digest: str, fill: Callable[[pathlib.Path], object]) -> pathlib.Path:
        """The folder in the cache for a digest, made complete or not at all."""
        folder = self._cache / digest
        if not _is_full(folder):
            self._cache.mkdir(parents=True, exist_ok=True)
            scratch = pathlib.Path(tempfile.mkdtemp(dir=self._cache, prefix=".new-"))
            try:
                fill(scratch)
                scratch.rename(folder)
            except OSError as error:
                shutil.rmtree(scratch, ignore_errors=True)
                if not _is_full(folder):
                    msg = (
                        f"chart: the cache {self._cache} cannot be written: {error.strerror}; name another with `cache`"
                    )
                    raise errors.ConfigError(msg) from error
        return folder

    def _note(self, reference: references.Reference) -> pathlib.Path:
        named = hashlib.sha256(f"{reference}@{reference.digest}".encode()).hexdigest()
        return self._cache / "references" / f"{named}.json"


def _only_archive(folder: str, reference: references.Reference) -> pathlib.Path:
    """What Helm has fetched; raises ProcessError if that is not one archive."""
    found = list(pathlib.Path(folder).glob("*.tgz"))
    if len(found) != 1:
        raise errors.ProcessError(f"fetch the chart {reference}: helm brought {len(found)} archives, and not one")
    return found[0]


def _noted(path: pathlib.Path) -> str:
    """The digest that a note tells; empty if there is none that can be read."""
    try:
        return str(json.loads(path.read_bytes())["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _is_full(folder: pathlib.Path) -> bool:
    """Whether a chart's folder in the cache is there, with the chart."""
    return folder.is_dir() and any(folder.iterdir())


def _check(reference: references.Reference, digest: str, said: str) -> None:
    """Raise ConfigError if an archive is not the one that was asked for."""
    manifest = _PULLED.search(said)
    found = {f"sha256:{digest}", *((manifest.group(1),) if manifest else ())}
    if reference.digest and reference.digest not in found:
        msg = (
            f"chart: {reference} has the digest sha256:{digest}, and {reference.digest} is asked for: somebody "
            "changed the chart, or the digest is of another one"
        )
        raise errors.ConfigError(msg)


def _describe(folder: pathlib.Path, digest: str) -> Chart:
    """What a chart in the cache says of itself; raises ConfigError."""
    archive = folder / "chart.tgz"
    path = archive if archive.is_file() else next(one for one in folder.iterdir() if one.is_dir())
    texts = dict(_texts(path, _ABOUT.__contains__))
    if not texts.get("Chart.yaml"):
        msg = f"chart: {path} holds no Chart.yaml, so it is no chart"
        raise errors.ConfigError(msg)
    about = _mapping(texts["Chart.yaml"], f"{path}/Chart.yaml")
    schema = None
    if texts.get("values.schema.json"):
        try:
            schema = json.loads(texts["values.schema.json"])
        except ValueError as error:
            raise errors.ConfigError(f"chart: {path}/values.schema.json is not JSON: {error}") from error
    defaults: Mapping[str, Any] = {}
    try:
        defaults = _mapping(texts.get("values.yaml", ""), f"{path}/values.yaml")
    except errors.ConfigError as error:
        _log.warning("the chart's defaults cannot be read; only Helm checks its values", error=str(error))
        schema = None
    name, version = str(about.get("name", "")), str(about.get("version", ""))
    return Chart(path, digest, name, version, str(about.get("appVersion") or ""), defaults, schema)


def _texts(path: pathlib.Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """The files of a chart with a wanted name, and what is in them; raises ConfigError."""
    if path.is_dir():
        for file in _files(path):
            name = file.relative_to(path).as_posix()
            if wanted(name):
                yield name, file.read_text(encoding="utf-8", errors="replace")
        return
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                folder, _, name = member.name.partition("/")
                if folder and wanted(name) and member.isfile() and member.size <= LARGEST:
                    content = archive.extractfile(member)
                    yield name, content.read().decode(errors="replace") if content else ""
    except (tarfile.TarError, OSError, EOFError) as error:
        raise errors.ConfigError(f"chart: {path} is no archive that can be read: {error}") from error


def _is_template(name: str) -> bool:
    return name.startswith("templates/") and name.endswith((".yaml", ".yml", ".tpl"))


def unquoted(path: pathlib.Path) -> list[str]:
    """The places of a chart's templates (file:line) at which a value is written without quotes, as far as they show."""
    return [
        f"{name}:{number}"
        for name, text in sorted(_texts(path, _is_template))
        for number, line in enumerate(text.splitlines(), 1)
        if _UNQUOTED.search(line)
    ]


def _mapping(text: str, where: str) -> Mapping[str, Any]:
    """A mapping as Helm reads it; raises ConfigError."""
    try:
        data = goyaml.read(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise errors.ConfigError(f"chart: {where}: {errors.shorten(str(error), 200)}") from error
    if data is not None and not isinstance(data, dict):
        raise errors.ConfigError(f"chart: {where}: must be a mapping")
    return data or {}


def _files(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """All files below a folder, but hidden folders: version control, and the doubles of a mounted ConfigMap."""
    for root, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (pathlib.Path(root, name) for name in files)


def _signature(path: pathlib.Path) -> object:
    """What changes when a chart does, without reading it."""
    files = _files(path) if path.is_dir() else [path]
    try:
        return sorted((str(file), (found := file.stat()).st_mtime_ns, found.st_size, found.st_ino) for file in files)
    except OSError:
        return time.monotonic()


def _read(path: pathlib.Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise errors.ConfigError(f"chart: cannot read {path}: {error.strerror}") from error
    if len(content) > LARGEST:
        raise errors.ConfigError(f"chart: {path} is larger than {LARGEST:,} bytes")
    return content


def _copy(files: Mapping[str, pathlib.Path], target: pathlib.Path) -> None:
    for name, file in files.items():
        _write(target / name, file.read_bytes())


def _write_at_once(path: pathlib.Path, content: bytes) -> None:
    """Write a file so that a crash leaves the old one, or the new."""
    scratch = path.with_name(f".{path.name}-{os.getpid()}")
    _write(scratch, content)
    scratch.replace(path)


def _write(path: pathlib.Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
