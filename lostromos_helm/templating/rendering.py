"""Run ``helm template`` and cache its results, so that an unchanged resource needs no process."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any, Final, final

from lostromos_core import errors, interfaces
from lostromos_core.kube import labels
from lostromos_helm.charts import traits
from lostromos_helm.helm import failures, hiding
from lostromos_helm.objects import contents, manifest
from lostromos_helm.release import helm_values
from lostromos_helm.templating import definitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lostromos_helm.charts import chart_cache
    from lostromos_helm.helm import binary

KEPT: Final = 8 * 1024 * 1024
"""Bytes of renderings that are kept in memory."""
_LATER: Final = 1.0
"""Seconds after which a rendered time differs."""
_ZONES: Final = {"Etc/GMT-14": 14, "Etc/GMT+12": -12}
"""Time zones and their hours ahead of UTC (names have the opposite sign); one of them always has another date."""
_HOOK: Final = "helm.sh/hook"
_EVENTS: Final = frozenset({"pre-install", "post-install", "pre-upgrade", "post-upgrade"})
"""Hook events that occur here. Source: https://helm.sh/docs/topics/charts_hooks/"""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """Describe a rendering to make: a chart for a release, with values.

    ``flags`` specify the version and kinds that the cluster serves.
    """

    chart: chart_cache.Chart
    name: str
    namespace: str
    rendered: interfaces.Values
    secrets: hiding.Hidden
    flags: tuple[str, ...]

    @property
    def encoded(self) -> bytes:
        """Return the values as they are passed to Helm; raises RenderError."""
        return helm_values.encode(self.rendered.values)

    @property
    def made_of(self) -> str:
        """Return the digest of the chart, the release and the values."""
        return helm_values.digest(self.chart.digest.encode(), self.name.encode(), self.namespace.encode(), self.encoded)

    @property
    def key(self) -> str:
        """Return the digest of all inputs of the rendering."""
        return helm_values.digest(self.made_of.encode(), *map(str.encode, self.flags))


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Rendering:
    """Hold the objects of a chart, and the text of the definitions in its folder ``crds/``.

    ``kept``: the objects with their values from the cluster, if these were requested.
    """

    items: Sequence[manifest.Item]
    definitions: str = ""
    kept: Sequence[manifest.Item] | None = None


@final
class Templates:
    """Render charts. ``hooks``: whether hooks become objects, if one of their events occurs."""

    def __init__(self, helm: binary.Helm, *, hooks: bool, most: int = KEPT) -> None:
        self._helm = helm
        self._hooks = hooks
        self._kept = Renderings(most)

    def replace(self, key: str, made: Rendering) -> None:
        """Replace a cached rendering with another one."""
        self._kept.replace(key, made)

    async def make(self, task: Task) -> Rendering:
        """Return the rendering, from the cache if possible; raises the error that explains a failure."""
        if (known := self._kept.get(task.key)) is not None:
            return known
        made, size = await self._run(task)
        self._kept.put(task.key, made, size)
        return made

    async def make_again(self, task: Task) -> Rendering:
        """Render the same task at another time and on another date; raises the same errors as ``make``."""
        if not traits.of(task.chart.path).timed:
            return (await self._run(task))[0]
        await asyncio.sleep(_LATER)
        now = dt.datetime.now(dt.UTC)
        others = (zone for zone, hours in _ZONES.items() if (now + dt.timedelta(hours=hours)).date() != _today(now))
        return (await self._run(task, zone=next(others)))[0]

    async def _run(self, task: Task, zone: str = "") -> tuple[Rendering, int]:
        """Run Helm; return the rendering and its size."""
        chart = task.chart
        command = ["template", task.name, str(chart.path), f"--namespace={task.namespace}", "--values=-"]
        command += ["--skip-tests", *([] if self._hooks else ["--no-hooks"]), *task.flags]
        command += ["--include-crds"] if traits.of(chart.path).definitions else []
        done = await self._helm.run(*command, stdin=task.encoded, offline=True, zone=zone)
        if done.status:
            action = f"render the chart {chart.name}"
            raise failures.explain(done, action, task.secrets, task.rendered, chart.name, chart.keys)
        crds, text = definitions.take_out(done.output.decode(errors="replace"))
        try:
            items = [item for item in await contents.parse(text, task.namespace) if _comes(item.data)]
            _refuse_doubles(items)
        except errors.RenderError as error:
            raise errors.RenderError(task.secrets.hide(error.message), place=error.place) from None
        return Rendering(items, crds), len(text)


def _today(now: dt.datetime) -> dt.date:
    """Return the date in this machine's time zone."""
    return now.astimezone().date()


def _refuse_doubles(items: Sequence[manifest.Item]) -> None:
    """Raise RenderError for a duplicate object: Helm 3 refuses it at an install, and later uses the last one."""
    for item, other in manifest.doubles(items):
        msg = f"{item.ref} occurs twice, here and in {other.file}; remove it from one of them"
        raise errors.RenderError(msg, place=item.file)


def _comes(data: Mapping[str, Any]) -> bool:
    """Return False for a hook whose event does not occur: rendered charts are not uninstalled or rolled back."""
    annotations = data["metadata"].get("annotations")
    hook = annotations.get(_HOOK) if isinstance(annotations, dict) else None
    return hook is None or any(event.strip() in _EVENTS for event in str(hook).split(","))


def as_applied(item: manifest.Item, cluster_scoped: frozenset[tuple[str, str]]) -> Mapping[str, Any]:
    """Return an object as the appliers expect it.

    An object with Helm's policy "keep" is orphaned when it is no longer desired. A cluster-scoped object loses its
    namespace, which Helm ignores.
    """
    metadata = dict(item.data["metadata"])
    annotations = metadata.get("annotations")
    if item.kept and isinstance(annotations, dict) and labels.ON_DELETE not in annotations:
        metadata["annotations"] = {**annotations, labels.ON_DELETE: "orphan"}
    if (item.ref.group, item.ref.kind) in cluster_scoped:
        metadata.pop("namespace", None)
    return {**item.data, "metadata": metadata}


@final
class Renderings:
    """Cache renderings up to a number of bytes of text; evict the least recently used first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._kept: collections.OrderedDict[str, tuple[Rendering, int]] = collections.OrderedDict()

    def get(self, key: str) -> Rendering | None:
        """Return a rendering, or None if it is not cached."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: str, made: Rendering, size: int) -> None:
        """Cache a rendering whose text has this many bytes."""
        _, before = self._kept.pop(key, (None, 0))
        self._kept[key] = made, size
        self._size += size - before
        while self._size > self._most:
            _, (_, gone) = self._kept.popitem(last=False)
            self._size -= gone

    def replace(self, key: str, made: Rendering) -> None:
        """Replace a rendering with another of the same size, if it is cached."""
        if key in self._kept:
            self._kept[key] = made, self._kept[key][1]
