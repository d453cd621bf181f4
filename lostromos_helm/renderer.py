"""Render a chart's manifests for any applier (``helm-template``), so that prune, waves and drift work on charts.

A chart's author may write values into YAML without quotes, and then a resource's author can turn a string into
structure. So the output is compared with what the chart makes from its own defaults: see ``confinement``.
"""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
from typing import TYPE_CHECKING, Any, Final, Unpack, final

import structlog

from lostromos_core import errors, interfaces
from lostromos_core.kube.kinds import discovery
from lostromos_helm import settings
from lostromos_helm.charts import chart_cache, references, traits
from lostromos_helm.helm import hiding
from lostromos_helm.release import naming, planner
from lostromos_helm.templating import confinement, definitions, keeping, rendering, served

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lostromos_helm.objects import manifest

DEFAULT: Final = "default"
"""The namespace passed to a chart for a cluster-scoped resource."""
SHOWN: Final = 5
"""Maximum number of places of a chart that a message names."""
_log = structlog.get_logger("lostromos.helm")


@final
class HelmTemplateRenderer:
    """Render a chart with ``helm template``, once for each state of a resource.

    ``chart``: as for the applier ``helm``. ``values``: a renderer that makes the values. For the other options, see
    ``settings.HelmTemplateOptions``; raises ConfigError if one is not valid.
    """

    produces = interfaces.Manifests

    def __init__(
        self,
        chart: str | references.Reference,
        *,
        values: interfaces.Renderer,
        **options: Unpack[settings.TemplateKeywords],
    ) -> None:
        self._options = settings.HelmTemplateOptions.from_keywords(options)
        self._chart = references.parse(chart, self._options.base) if isinstance(chart, str) else chart
        self._values = values
        self._kinds = frozenset(
            (group, kind) for kind, _, group in (name.partition(".") for name in self._options.kinds)
        )
        self._limits: dict[str, confinement.Limits] = {}
        self._warned: set[str] = set()
        self._keys: set[str] = set()
        self._lock = asyncio.Lock()
        self._runtime: interfaces.Runtime
        self._charts: chart_cache.Charts
        self._templates: rendering.Templates
        self._served: served.Served | None = None
        self._definitions: definitions.Definitions | None = None

    async def start(self, runtime: interfaces.Runtime) -> None:
        """Find Helm and read the chart; raises ConfigError."""
        if isinstance(self._values, interfaces.Startable):
            await self._values.start(runtime)
        self._runtime = runtime
        helm, self._charts = await planner.open_charts(
            runtime.kube, self._options, self._chart, changed=self._enqueue_all
        )
        self._templates = rendering.Templates(helm, hooks=self._options.hooks)
        if runtime.kube is not None:
            await runtime.kube.connect()
            self._served = served.Served(runtime.kube)
            self._definitions = definitions.Definitions(runtime.kube)
            await self._served.flags(traits.Traits())  # reads the cluster's version, to check that it answers
            runtime.kube.background(self._charts.look, name="look for changed charts")

    async def render(self, resource: interfaces.Resource, context: interfaces.Context) -> interfaces.Manifests:
        """Render the chart for a resource; raises RenderError, RefusedError with the chart's file, ApiError."""
        self._keys.add(resource.key)
        made: Any = interfaces.render(self._values, resource, context)
        rendered: interfaces.Values = await made if inspect.isawaitable(made) else made
        if rendered.waiting:
            unit = interfaces.Unit("values", waiting=rendered.waiting)
            return interfaces.Manifests((unit,), rendered.reads, rendered.status)
        chart = await self._charts.get(self._chart)
        prefix = self._options.prefix_of(self._runtime.controller)
        namespace = resource.ref.namespace or DEFAULT
        name = naming.release_name(prefix, resource, namespace)
        secrets = hiding.Hidden(rendered.hidden, resource.data)
        task = rendering.Task(chart, name, namespace, rendered, secrets, await self._flags(chart))
        task, result = await self._make(task)
        limits = await self._limit(task)
        confinement.refuse(result.items, limits)
        cluster_scoped = await self._cluster_scoped(result.items)
        if any(confinement.is_far(item, namespace, cluster_scoped) for item in result.items):
            confinement.refuse_far(result.items, await self._defaults(task), limits, namespace, cluster_scoped)
        items = await self._keep(task, result, resource)
        units: dict[str, list[interfaces.Manifest]] = {}
        for item in items:
            data = rendering.as_applied(item, cluster_scoped)
            units.setdefault(item.file, []).append(interfaces.Manifest(data, _File(item.file)))
        found = tuple(interfaces.Unit(file, tuple(manifests)) for file, manifests in units.items())
        return interfaces.Manifests(found, rendered.reads, rendered.status)

    def _enqueue_all(self) -> None:
        """Enqueue all resources when the chart changes; those that still exist are remembered when rendered again."""
        keys, self._keys = self._keys, set()
        for key in keys:
            self._runtime.enqueue(key)

    async def _flags(self, chart: chart_cache.Chart) -> tuple[str, ...]:
        """Return the flags that describe the cluster to the chart; none without a cluster."""
        return tuple(await self._served.flags(traits.of(chart.path))) if self._served else ()

    async def _make(self, task: rendering.Task) -> tuple[rendering.Task, rendering.Rendering]:
        """Render the chart, create its definitions, and render again if the cluster then serves other kinds."""
        made = await self._templates.make(task)
        if made.definitions and definitions.ALLOWED not in self._kinds:
            definitions.refuse_more(made.definitions, await self._default_definitions(task))
        if self._definitions and made.definitions:
            await self._definitions.provide(made.definitions)  # or wait until they are created for another resource
            again = dataclasses.replace(task, flags=await self._flags(task.chart))
            if again.flags != task.flags:  # the chart may make more objects, now that the cluster serves its kinds
                return await self._make(again)
        return task, made

    async def _keep(
        self, task: rendering.Task, made: rendering.Rendering, resource: interfaces.Resource
    ) -> Sequence[manifest.Item]:
        """Return the chart's objects, with live values kept where the chart generates new ones each time."""
        chart = traits.of(task.chart.path)
        if made.kept is not None or self._runtime.kube is None or not chart.changes(task.encoded):
            return made.items if made.kept is None else made.kept
        other = (await self._templates.make_again(task)).items
        self._warn(task.chart, chart, keeping.compare(made.items, other))
        keeper = keeping.Keeper(self._runtime.kube)
        kept = await keeper.keep(resource.ref, made.items, other, made_of=task.made_of, looks=chart.looks)
        self._templates.replace(task.key, dataclasses.replace(made, kept=kept))
        return kept

    def _warn(self, chart: chart_cache.Chart, about: traits.Traits, found: keeping.Changing) -> None:
        """Warn once per chart if its output differs each time."""
        if chart.digest in self._warned or not (found.leaves or found.nameless):
            return
        self._warned.add(chart.digest)
        places = ", ".join(about.changing[:SHOWN]) + (" and more" if len(about.changing) > SHOWN else "")
        if found.nameless:
            _log.warning(
                "the chart gives an object a new name each time, so each start of the operator creates another and "
                "deletes the previous one; set the value that its name is made from",
                chart=chart.name, object=str(found.nameless[0].ref), file=found.nameless[0].file, places=places,
            )  # fmt: skip
        elif not about.looks:
            _log.warning(
                "the chart makes new values each time: those on the cluster are kept until the resource or the chart "
                "changes, and then replaced, as Helm does on each upgrade; to choose them, set them as values",
                chart=chart.name, places=places,
            )  # fmt: skip

    async def _defaults(self, task: rendering.Task) -> Sequence[manifest.Item]:
        """Return the objects that the chart makes from its defaults for this release; none if it needs values."""
        bare = dataclasses.replace(task, rendered=interfaces.Values({}), secrets=hiding.NOTHING)
        try:
            return (await self._templates.make(bare)).items
        except errors.RenderError:
            return ()

    async def _default_definitions(self, task: rendering.Task) -> str:
        """Return the definitions that the chart includes with its defaults; none if it needs values."""
        try:
            return (await self._templates.make(_bare(task))).definitions
        except errors.RenderError:
            return ""

    async def _limit(self, task: rendering.Task) -> confinement.Limits:
        """Return the limits from the chart's own defaults and the configuration."""
        chart, bare = task.chart, _bare(task)
        async with self._lock:
            if bare.key not in self._limits:
                items: Sequence[manifest.Item] = ()
                try:
                    items = (await self._templates.make(bare)).items
                except errors.LostromosError as error:
                    if not self._kinds:
                        msg = (
                            f"the chart {chart.name} cannot be rendered with its defaults, so it is not known which "
                            f"kinds it may make; list them in the renderer's `kinds` ({error})"
                        )
                        raise errors.RefusedError(msg) from error
                self._limits[bare.key] = confinement.limits_of(items, self._kinds)
            return self._limits[bare.key]

    async def _cluster_scoped(self, items: Sequence[manifest.Item]) -> frozenset[confinement.GroupKind]:
        """Return the cluster-scoped kinds among those that the cluster serves; none without a cluster."""
        if self._runtime.kube is None:
            return frozenset()
        found = set()
        for api_version, kind in {(item.ref.api_version, item.ref.kind) for item in items}:
            try:
                served = await self._runtime.kube.discovery.kind(api_version, kind)
            except discovery.NoSuchKindError:
                continue  # it cannot be applied either
            if not served.namespaced:
                found.add((interfaces.group_of(api_version), kind))
        return frozenset(found)


def _bare(task: rendering.Task) -> rendering.Task:
    """Return a task for the chart with its own defaults and a placeholder release."""
    return rendering.Task(task.chart, "defaults", DEFAULT, interfaces.Values({}), hiding.NOTHING, task.flags)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class _File:
    """Name a file of a chart; Helm does not report which line of it made a field."""

    name: str

    def locate(self, path: interfaces.Path) -> interfaces.Place | None:  # noqa: ARG002 - the protocol's
        return interfaces.Place(self.name, 0)
