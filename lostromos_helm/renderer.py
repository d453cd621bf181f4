"""The renderer ``helm-template``: a chart's manifests for any applier, so that prune, waves and drift work on charts.

A chart's author may write values into YAML without quotes, and then a resource's author can make structure of a text.
So what comes out is held against what the chart makes of its own defaults: see ``confinement``.
"""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import pathlib
from typing import TYPE_CHECKING, Any, Final, final

import structlog

from lostromos_core import errors, interfaces
from lostromos_core.kube.kinds import discovery
from lostromos_helm import settings
from lostromos_helm.charts import chart_cache, references, traits
from lostromos_helm.helm import hiding
from lostromos_helm.release import naming, planner
from lostromos_helm.templating import confinement, definitions, keeping, rendering, served

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lostromos_helm.objects import manifest

DEFAULT: Final = "default"
"""The namespace that a chart is told for a resource that is in none."""
SHOWN: Final = 5
"""Places of a chart that are named."""
_log = structlog.get_logger("lostromos.helm")


@final
class HelmTemplateRenderer:
    """Renders a chart with ``helm template``, once for each state of a resource.

    ``chart`` is as for the applier ``helm``, ``values`` is a renderer that makes the values. ``kinds`` may be made
    beside those that the chart makes of its defaults: ``Deployment.apps``, or ``ConfigMap``. ``hooks``: whether hooks
    of installs and upgrades become objects like all others; they are left out otherwise. The others: see
    ``settings.Settings``.
    """

    produces = interfaces.Manifests

    def __init__(  # noqa: PLR0913 - each is an option of its own
        self,
        chart: str | references.Reference,
        *,
        values: interfaces.Renderer,
        kinds: Collection[str] = (),
        prefix: str | None = None,
        hooks: bool = False,
        binary: str = "",
        processes: int = 4,
        timeout: float = 300.0,
        cache: str = "",
        base: pathlib.Path = pathlib.Path(),
        access: chart_cache.Access | None = None,
    ) -> None:
        self._options = settings.Settings(
            prefix=prefix, hooks=hooks, binary=binary, processes=processes, timeout=timeout, cache=cache,
            access=access or chart_cache.Access(), base=base,
        )  # fmt: skip
        self._chart = references.parse(chart, self._options.base) if isinstance(chart, str) else chart
        self._values = values
        self._kinds = frozenset((group, kind) for kind, _, group in (name.partition(".") for name in kinds))
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
        helm, self._charts = await planner.open_charts(runtime.kube, self._options, self._chart, changed=self._ring_all)
        self._templates = rendering.Templates(helm, hooks=self._options.hooks)
        if runtime.kube is not None:
            await runtime.kube.connect()
            self._served = served.Served(runtime.kube)
            self._definitions = definitions.Definitions(runtime.kube)
            await self._served.flags(traits.Traits())  # asks for the cluster's version: does it answer?
            runtime.kube.background(self._charts.look, name="look for changed charts")

    async def render(self, resource: interfaces.Resource, context: interfaces.Context) -> interfaces.Manifests:
        """The chart's objects for this resource; raises RenderError, RefusedError with the chart's file, ApiError."""
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

    def _ring_all(self) -> None:
        """The chart has changed: whoever is still there is rendered again, and known again by that."""
        keys, self._keys = self._keys, set()
        for key in keys:
            self._runtime.enqueue(key)

    async def _flags(self, chart: chart_cache.Chart) -> tuple[str, ...]:
        """What the chart is told of the cluster; nothing without one."""
        return tuple(await self._served.flags(traits.of(chart.path))) if self._served else ()

    async def _make(self, task: rendering.Task) -> tuple[rendering.Task, rendering.Rendering]:
        """Render the chart when its definitions are there; with what the cluster serves then."""
        made = await self._templates.make(task)
        if made.definitions and definitions.ALLOWED not in self._kinds:
            definitions.refuse_more(made.definitions, await self._default_definitions(task))
        if self._definitions and made.definitions:
            await self._definitions.provide(made.definitions)  # or wait until another resource has
            again = dataclasses.replace(task, flags=await self._flags(task.chart))
            if again.flags != task.flags:  # the chart may make more, now that the cluster has its kinds
                return await self._make(again)
        return task, made

    async def _keep(
        self, task: rendering.Task, made: rendering.Rendering, resource: interfaces.Resource
    ) -> Sequence[manifest.Item]:
        """The chart's objects, with values that are kept if it makes others each time."""
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
        """Say once of a chart that it makes something else each time."""
        if chart.digest in self._warned or not (found.leaves or found.nameless):
            return
        self._warned.add(chart.digest)
        places = ", ".join(about.changing[:SHOWN]) + (" and more" if len(about.changing) > SHOWN else "")
        if found.nameless:
            _log.warning(
                "the chart gives an object another name each time, so each start of the operator makes it anew, and "
                "deletes the one before; set the value that its name is made of",
                chart=chart.name, object=str(found.nameless[0].ref), file=found.nameless[0].file, places=places,
            )  # fmt: skip
        elif not about.looks:
            _log.warning(
                "the chart makes other values each time: those on the cluster are kept until the resource or the chart "
                "changes, and are made anew then, as Helm does it at each upgrade; set them as values to choose them",
                chart=chart.name, places=places,
            )  # fmt: skip

    async def _defaults(self, task: rendering.Task) -> Sequence[manifest.Item]:
        """What the chart makes of its own defaults for this release; nothing, if it needs values."""
        bare = dataclasses.replace(task, rendered=interfaces.Values({}), secrets=hiding.NOTHING)
        try:
            return (await self._templates.make(bare)).items
        except errors.RenderError:
            return ()

    async def _default_definitions(self, task: rendering.Task) -> str:
        """The definitions that the chart brings with its own defaults; none, if it needs values."""
        try:
            return (await self._templates.make(_bare(task))).definitions
        except errors.RenderError:
            return ""

    async def _limit(self, task: rendering.Task) -> confinement.Limits:
        """What the chart makes of its own defaults, and what the configuration adds."""
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
        """The kinds that are in no namespace, as far as the cluster has them; none without a cluster."""
        if self._runtime.kube is None:
            return frozenset()
        found = set()
        for api_version, kind in {(item.ref.api_version, item.ref.kind) for item in items}:
            try:
                served = await self._runtime.kube.discovery.kind(api_version, kind)
            except discovery.NoSuchKindError:
                continue  # nor can it be applied
            if not served.namespaced:
                found.add((api_version.rpartition("/")[0], kind))
        return frozenset(found)


def _bare(task: rendering.Task) -> rendering.Task:
    """The chart with its own defaults, for no release in particular."""
    return rendering.Task(task.chart, "defaults", DEFAULT, interfaces.Values({}), hiding.NOTHING, task.flags)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class _File:
    """A file of a chart: Helm does not tell which line of it made a field."""

    name: str

    def locate(self, path: interfaces.Path) -> interfaces.Place | None:  # noqa: ARG002 - the protocol's
        return interfaces.Place(self.name, 0)
