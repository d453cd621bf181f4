"""A plug-in for Lostrómos: JSON files in a folder are resources, and manifests become files in another folder."""  # noqa: INP001

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pydantic

from lostromos_core import (
    Applied,
    Backend,
    Context,
    EventSink,
    Manifest,
    Manifests,
    ObjectRef,
    Options,
    RenderError,
    Report,
    Resource,
    Unit,
    hookimpl,
)
from lostromos_core.backends import relative
from lostromos_core.interfaces import Action, ObjectResult, Rendered, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable

Folder = Annotated[Path, pydantic.AfterValidator(relative)]
"""A path in the options, relative to lostromos.yaml."""


# --8<-- [start:watcher]
class FolderWatcher:
    """Every ``*.json`` file in a folder is a resource; its status is written beside it."""

    can_dry_run = True

    def __init__(self, folder: Path, *, interval: float) -> None:
        self._folder = folder
        self._interval = interval
        self._dry_run = False

    async def start(self, runtime: Runtime) -> None:
        """Learn whether anything may be written."""
        self._dry_run = runtime.dry_run

    async def watch(self, sink: EventSink) -> None:
        """Ring for each file that is new, changed or gone; a folder that is not there says nothing about its files."""
        before: dict[str, int] = {}
        while True:
            if self._folder.is_dir():
                before = self._look(before, sink)
                sink.trouble("")
                sink.synced()
            else:
                sink.trouble(f"there is no folder {self._folder}; create it")
            await asyncio.sleep(self._interval)

    def _look(self, before: dict[str, int], sink: EventSink) -> dict[str, int]:
        now = {path.stem: path.stat().st_mtime_ns for path in self._folder.glob("*.json")}
        for key in before.keys() | now.keys():
            if before.get(key) != now.get(key):
                sink.enqueue(key)
        return now

    async def get(self, key: str) -> Resource | None:
        """Read the file; None if it is gone."""
        try:
            text = (self._folder / f"{key}.json").read_text()
        except FileNotFoundError:
            return None
        ref = ObjectRef("folder.example.com/v1", "File", "", key)
        try:
            return Resource(key=key, ref=ref, uid=key, data={"metadata": {"name": key}, "spec": json.loads(text)})
        except json.JSONDecodeError as error:
            return Resource(key=key, ref=ref, uid=key, data={"metadata": {"name": key}}, unreadable=str(error))

    async def report(self, resource: Resource, report: Report) -> None:
        """Write how it went, if that is news."""
        path = self._folder / f"{resource.key}.status"
        line = f"{report.reason}: {report.message}\n"
        if not self._dry_run and (not path.exists() or path.read_text() != line):
            path.write_text(line)


# --8<-- [end:watcher]


# --8<-- [start:renderer]
class LabelRenderer:
    """Makes one ConfigMap of each resource, without any template."""

    produces = Manifests

    def render(self, resource: Resource, context: Context) -> Manifests:
        """Return the ConfigMap; pure: no clock, no network."""
        if "text" not in resource.data["spec"]:
            message = "the field 'text' is missing; add it to the file"
            raise RenderError(message, place=f"{resource.key}.json")
        data = {"text": resource.data["spec"]["text"], "domain": context.vars.get("domain", "")}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": resource.key}, "data": data}
        return Manifests((Unit("config", (Manifest(body),)),))


# --8<-- [end:renderer]


# --8<-- [start:applier]
class FilesApplier:
    """Writes each object to a file ``OWNER/KIND-NAME.json``."""

    accepts = Manifests
    can_dry_run = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._dry_run = False

    async def start(self, runtime: Runtime) -> None:
        """Learn whether anything may be written."""
        self._dry_run = runtime.dry_run

    async def apply(self, owner: Resource, rendered: Rendered) -> Applied:
        """Write all files; idempotent."""
        assert isinstance(rendered, Manifests)  # noqa: S101 - a Controller refuses a renderer that makes anything else
        return Applied(tuple(self._write(owner, manifest) for manifest in rendered.objects))

    async def delete(self, key: str, owner: Resource | None) -> Applied:  # noqa: ARG002 - it may be gone
        """Remove all files of an owner."""
        if not self._dry_run:
            shutil.rmtree(self._folder / key, ignore_errors=True)
        return Applied()

    def _write(self, owner: Resource, manifest: Manifest) -> ObjectResult:
        path = self._folder / owner.key / f"{manifest.ref.kind}-{manifest.ref.name}.json"
        text = json.dumps(manifest.data, indent=2)
        if path.exists() and path.read_text() == text:
            return ObjectResult(manifest.ref, Action.UNCHANGED)
        action = Action.UPDATED if path.exists() else Action.CREATED
        if not self._dry_run:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return ObjectResult(manifest.ref, action)


# --8<-- [end:applier]


# --8<-- [start:options]
class WatchOptions(Options):
    """What stands under ``watch: folder:``."""

    path: Folder
    interval: float = pydantic.Field(default=1.0, gt=0, description="Seconds between two looks.")


class WriteOptions(Options):
    """What stands under ``apply: files:``."""

    path: Folder


@hookimpl
def lostromos_watchers() -> dict[str, Backend]:
    """``watch: {folder: ...}``."""
    return {
        "folder": Backend(WatchOptions, lambda options: FolderWatcher(options.path, interval=options.interval)),
    }


@hookimpl
def lostromos_renderers() -> dict[str, Backend]:
    """``render: {label: {}}``."""
    return {"label": Backend(Options, lambda _: LabelRenderer())}


@hookimpl
def lostromos_appliers() -> dict[str, Backend]:
    """``apply: {files: ...}``."""
    return {"files": Backend(WriteOptions, lambda options: FilesApplier(options.path))}


# --8<-- [end:options]


# --8<-- [start:templates]
@hookimpl
def lostromos_template_tests() -> dict[str, Callable[..., bool]]:
    """``{% if resource.metadata.name is internal %}``."""
    return {"internal": lambda name: str(name).startswith("internal-")}


@hookimpl
def lostromos_template_functions() -> dict[str, object]:
    """``{{ cluster_name }}``, and functions such as ``{{ port_of("http") }}``."""
    return {"cluster_name": "staging", "port_of": {"http": 80, "https": 443}.__getitem__}


# --8<-- [end:templates]
