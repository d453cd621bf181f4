"""The renderer ``helm-template``: a chart's manifests for any applier, so that prune, waves and drift work on charts.

A chart's author may write values into YAML without quotes, and then a resource's author can make structure of a text.
So what comes out is held against what the chart makes of its own defaults: see ``confinement``.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import inspect
import pathlib
from typing import TYPE_CHECKING, Any, Final, final

from lostromos_core import errors, interfaces
from lostromos_core.kube import discovery
from lostromos_helm import binary as binary_
from lostromos_helm import charts, confinement, failures, hiding, manifest, naming, orders, references, settings
from lostromos_helm import values as values_

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

KEPT: Final = 8 * 1024 * 1024
"""Bytes of renderings that are kept in memory, so that a resource that did not change costs no process."""
DEFAULT: Final = "default"
"""The namespace that a chart is told for a resource that is in none."""


@final
class HelmTemplateRenderer:
    """Renders a chart with ``helm template``, once for each state of a resource.

    ``chart`` is as for the applier ``helm``, ``values`` is a renderer that makes the values. ``kinds`` may be made
    beside those that the chart makes of its defaults: ``Deployment.apps``, or ``ConfigMap``. ``hooks``: whether hooks
    become objects like all others; they are left out otherwise. The others: see ``settings.Settings``.
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
        access: charts.Access | None = None,
    ) -> None:
        self._options = settings.Settings(
            prefix=prefix, hooks=hooks, binary=binary, processes=processes, timeout=timeout, cache=cache,
            access=access or charts.Access(), base=base,
        )  # fmt: skip
        self._chart = references.parse(chart, self._options.base) if isinstance(chart, str) else chart
        self._values = values
        self._kinds = frozenset((group, kind) for kind, _, group in (name.partition(".") for name in kinds))
        self._limits: dict[str, confinement.Limits] = {}
        self._rendered = _Renderings(KEPT)
        self._version: list[str] = []
        self._keys: set[str] = set()
        self._lock = asyncio.Lock()
        self._runtime: interfaces.Runtime
        self._helm: binary_.Helm
        self._charts: charts.Charts

    async def start(self, runtime: interfaces.Runtime) -> None:
        """Find Helm and read the chart; raises ConfigError."""
        if isinstance(self._values, interfaces.Startable):
            await self._values.start(runtime)
        self._runtime = runtime
        self._helm, self._charts = await orders.open_charts(
            runtime.kube, self._options, self._chart, changed=self._ring_all
        )
        if runtime.kube is not None:
            await runtime.kube.connect()
            about = await runtime.kube.request("GET", "/version", action="read the cluster's version")
            self._version = [f"--kube-version={about['gitVersion']}"]
            runtime.kube.background(self._charts.look, name="look for changed charts")

    async def render(self, resource: interfaces.Resource, context: interfaces.Context) -> interfaces.Manifests:
        """The chart's objects for this resource; raises RenderError, RefusedError with the chart's file."""
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
        items = await self._template(chart, name, namespace, rendered, secrets)
        limits = await self._limit(chart)
        confinement.refuse(items, limits)
        cluster_scoped = await self._cluster_scoped(items)
        if any(confinement.is_far(item, namespace, cluster_scoped) for item in items):
            defaults = await self._defaults(chart, name, namespace)
            confinement.refuse_far(items, defaults, limits, namespace, cluster_scoped)
        units: dict[str, list[interfaces.Manifest]] = {}
        for item in items:
            units.setdefault(item.file, []).append(interfaces.Manifest(item.data, _File(item.file)))
        found = tuple(interfaces.Unit(file, tuple(manifests)) for file, manifests in units.items())
        return interfaces.Manifests(found, rendered.reads, rendered.status)

    def _ring_all(self) -> None:
        """The chart has changed: whoever is still there is rendered again, and known again by that."""
        keys, self._keys = self._keys, set()
        for key in keys:
            self._runtime.ring(key)

    async def _template(
        self, chart: charts.Chart, name: str, namespace: str, rendered: interfaces.Values, secrets: hiding.Hidden
    ) -> Sequence[manifest.Item]:
        """What ``helm template`` makes, from memory if it was asked that before."""
        encoded = values_.encode(rendered.values)
        key = values_.digest(chart.digest.encode(), name.encode(), namespace.encode(), encoded)
        known = self._rendered.get(key)
        if known is not None:
            return known
        command = ["template", name, str(chart.path), f"--namespace={namespace}", "--values=-"]
        command += ["--skip-tests", *([] if self._options.hooks else ["--no-hooks"]), *self._version]
        done = await self._helm.run(*command, stdin=encoded, offline=True)
        if done.status:
            raise failures.explain(done, f"render the chart {chart.name}", secrets, rendered, chart.name, chart.keys)
        try:
            items = manifest.parse(done.output.decode(errors="replace"), namespace)
        except errors.RenderError as error:
            raise errors.RenderError(secrets.hide(error.message), place=error.place) from None
        self._rendered.put(key, items, len(done.output))
        return items

    async def _defaults(self, chart: charts.Chart, name: str, namespace: str) -> Sequence[manifest.Item]:
        """What the chart makes of its own defaults; nothing, if it needs values."""
        try:
            return await self._template(chart, name, namespace, interfaces.Values({}), hiding.NOTHING)
        except errors.RenderError:
            return ()

    async def _limit(self, chart: charts.Chart) -> confinement.Limits:
        """What the chart makes of its own defaults, and what the configuration adds."""
        async with self._lock:
            if chart.digest not in self._limits:
                items: Sequence[manifest.Item] = ()
                try:
                    items = await self._template(chart, "defaults", DEFAULT, interfaces.Values({}), hiding.NOTHING)
                except errors.LostromosError as error:
                    if not self._kinds:
                        msg = (
                            f"the chart {chart.name} cannot be rendered with its defaults, so it is not known which "
                            f"kinds it may make; list them in the renderer's `kinds` ({error})"
                        )
                        raise errors.RefusedError(msg) from error
                self._limits[chart.digest] = confinement.limits_of(items, self._kinds)
            return self._limits[chart.digest]

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


@final
class _Renderings:
    """What was rendered, as much as the bytes of its text allow; what was not used for longest goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._kept: collections.OrderedDict[str, tuple[Sequence[manifest.Item], int]] = collections.OrderedDict()

    def get(self, key: str) -> Sequence[manifest.Item] | None:
        """Return a rendering; None if it is not kept."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: str, items: Sequence[manifest.Item], size: int) -> None:
        """Keep a rendering whose text has so many bytes."""
        _, before = self._kept.pop(key, ((), 0))
        self._kept[key] = items, size
        self._size += size - before
        while self._size > self._most:
            _, (_, gone) = self._kept.popitem(last=False)
            self._size -= gone


@final
@dataclasses.dataclass(frozen=True, slots=True)
class _File:
    """A file of a chart: Helm does not tell which line of it made a field."""

    name: str

    def locate(self, path: interfaces.Path) -> interfaces.Place | None:  # noqa: ARG002 - the protocol's
        return interfaces.Place(self.name, 0)
