"""Fakes of our own three interfaces, held to the same contract suite as the real ones."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

from lostromos_core import errors, interfaces

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WORKS = interfaces.Context()


def resource(
    name: str, *, generation: int = 1, uid: str = "", deleting: bool = False, **spec: Any
) -> interfaces.Resource:
    ref = interfaces.ObjectRef("example.com/v1", "WebApp", "ns", name)
    data = {
        "apiVersion": "example.com/v1",
        "kind": "WebApp",
        "metadata": {"name": name, "namespace": "ns", "generation": generation, "uid": uid or f"uid-{name}"},
        "spec": spec,
    }
    return interfaces.Resource(f"ns/{name}", ref, uid or f"uid-{name}", data, generation, deleting)


class FakeWatcher:
    """Resources in a dict, and the reports on them in another."""

    def __init__(self) -> None:
        self.resources: dict[str, interfaces.Resource] = {}
        self.reports: dict[str, interfaces.Report] = {}
        self.sink: interfaces.EventSink | None = None
        self.report_error: Exception | None = None

    def put(self, item: interfaces.Resource) -> None:
        self.resources[item.key] = item
        if self.sink:
            self.sink.enqueue(item.key)

    def drop(self, key: str) -> None:
        self.resources.pop(key, None)
        if self.sink:
            self.sink.enqueue(key)

    async def watch(self, sink: interfaces.EventSink) -> None:
        self.sink = sink
        for key in list(self.resources):
            sink.enqueue(key)
        sink.synced()
        await asyncio.Event().wait()

    async def get(self, key: str) -> interfaces.Resource | None:
        await asyncio.sleep(0)
        return self.resources.get(key)

    async def report(self, item: interfaces.Resource, report: interfaces.Report) -> None:
        if self.report_error:
            raise self.report_error
        self.reports[item.key] = report


@dataclasses.dataclass
class FakeRenderer:
    """Makes one ConfigMap of a resource, or whatever ``make`` makes."""

    make: Callable[[interfaces.Resource], interfaces.Rendered] | None = None
    produces: type[interfaces.Manifests] = interfaces.Manifests

    def render(self, item: interfaces.Resource, context: interfaces.Context) -> interfaces.Rendered:
        if self.make:
            return self.make(item)
        data = {"text": str(item.data["spec"].get("text", "")), "var": str(context.vars.get("var", ""))}
        return manifests(config_map(item.ref.name, data))


class FakeApplier:
    """A cluster in a dict: what exists, and whose it is. Empty ``owner`` means somebody else's."""

    accepts = interfaces.Manifests

    def __init__(self, *, dry_run: bool = False) -> None:
        self.world: dict[str, tuple[str, Mapping[str, Any]]] = {}
        self.dry_run = dry_run
        self.error: Exception | None = None

    async def apply(self, owner: interfaces.Resource, rendered: interfaces.Rendered) -> interfaces.Applied:
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        assert isinstance(rendered, interfaces.Manifests)
        results = [self._apply(owner, manifest) for manifest in rendered.objects]
        if not any(result.action is interfaces.Action.FAILED for result in results):
            results += self._prune(owner, rendered)
        return interfaces.Applied(tuple(results))

    def _prune(self, owner: interfaces.Resource, rendered: interfaces.Manifests) -> list[interfaces.ObjectResult]:
        if any(unit.waiting for unit in rendered.units):
            return []
        wanted = {manifest.ref.name for manifest in rendered.objects}
        doomed = [name for name, (whose, _) in self.world.items() if whose == owner.key and name not in wanted]
        for name in () if self.dry_run else doomed:
            del self.world[name]
        return [interfaces.ObjectResult(config_map(name, {}).ref, interfaces.Action.PRUNED) for name in doomed]

    def _apply(self, owner: interfaces.Resource, manifest: interfaces.Manifest) -> interfaces.ObjectResult:
        name = manifest.ref.name
        found = self.world.get(name)
        adopts = (manifest.data["metadata"].get("annotations") or {}).get("lostromos.dev/adopt") == "true"
        if manifest.data.get("data", {}).get("bad"):
            return interfaces.ObjectResult(manifest.ref, interfaces.Action.FAILED, "data.bad: not allowed")
        if found and found[0] != owner.key and not adopts:
            return interfaces.ObjectResult(
                manifest.ref, interfaces.Action.FAILED, f"{manifest.ref} exists and does not belong to it"
            )
        if found and found == (owner.key, manifest.data):
            return interfaces.ObjectResult(manifest.ref, interfaces.Action.UNCHANGED)
        if not self.dry_run:
            self.world[name] = (owner.key, manifest.data)
        return interfaces.ObjectResult(manifest.ref, interfaces.Action.UPDATED if found else interfaces.Action.CREATED)

    async def delete(self, key: str, owner: interfaces.Resource | None) -> interfaces.Applied:  # noqa: ARG002
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        for name, (whose, _) in list(self.world.items()):
            if whose == key:
                del self.world[name]
        return interfaces.Applied()


def config_map(name: str, data: Mapping[str, Any], namespace: str = "", **metadata: Any) -> interfaces.Manifest:
    head = {"name": name, **({"namespace": namespace} if namespace else {}), **metadata}
    return interfaces.Manifest({"apiVersion": "v1", "kind": "ConfigMap", "metadata": head, "data": dict(data)})


def manifests(*items: interfaces.Manifest) -> interfaces.Manifests:
    return interfaces.Manifests((interfaces.Unit("unit.yaml", items),))


_watcher: interfaces.Watcher = FakeWatcher()
_renderer: interfaces.Renderer = FakeRenderer()
_applier: interfaces.Applier = FakeApplier()
RETRYABLE = errors.ApiError("the server is busy", status=503)
TERMINAL = errors.RefusedError("no")


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what other tasks do."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)
