"""The renderer ``helm-template``: a chart's manifests for any applier, so that prune, waves and drift work on charts.

A chart's author may write values into YAML without quotes, and then a resource's author can make structure of a text.
So what comes out is held against what the chart makes of its own defaults: no other kinds, no other namespaces, and
none of our control annotations that the defaults do not have.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import inspect
import pathlib
from typing import TYPE_CHECKING, Any, Final, final

from lostromos_core import errors, interfaces
from lostromos_helm import binary as binary_
from lostromos_helm import charts, failures, manifest, naming, orders, references, settings
from lostromos_helm import values as values_

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

KEPT: Final = 1000
"""Renderings that are kept in memory, so that a resource that did not change costs no process."""
DEFAULT: Final = "default"
"""The namespace that a chart is told for a resource that is in none."""
_CONTROL: Final = interfaces.CONTROL_PREFIXES


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What a chart may make: groups and kinds, and control annotations with their values."""

    kinds: frozenset[tuple[str, str]]
    annotations: frozenset[tuple[str, str]]


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
        self._limits: dict[str, Limits] = {}
        self._rendered: collections.OrderedDict[str, list[manifest.Item]] = collections.OrderedDict()
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
        values_.check_for(chart, rendered)
        prefix = self._options.prefix_of(self._runtime.controller)
        namespace = resource.ref.namespace or DEFAULT
        name = naming.release_name(prefix, resource, namespace)
        secrets = failures.secrets_of(rendered.hidden, resource.data)
        items = await self._template(chart, name, namespace, values_.encode(rendered.values), secrets)
        self._refuse(items, await self._limit(chart), namespace)
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
        self, chart: charts.Chart, name: str, namespace: str, encoded: bytes, secrets: Mapping[str, str]
    ) -> list[manifest.Item]:
        """What ``helm template`` makes, from memory if it was asked that before."""
        key = values_.digest(chart.digest.encode(), name.encode(), namespace.encode(), encoded)
        known = self._rendered.get(key)
        if known is not None:
            self._rendered.move_to_end(key)
            return known
        command = ["template", name, str(chart.path), f"--namespace={namespace}", "--values=-"]
        command += ["--skip-tests", *([] if self._options.hooks else ["--no-hooks"]), *self._version]
        done = await self._helm.run(*command, stdin=encoded, offline=True)
        if done.status:
            raise failures.explain(done, f"render the chart {chart.name}", secrets)
        items = manifest.parse(done.output.decode(errors="replace"), namespace)
        self._rendered[key] = items
        while len(self._rendered) > KEPT:
            self._rendered.popitem(last=False)
        return items

    async def _limit(self, chart: charts.Chart) -> Limits:
        """What the chart makes of its own defaults, and what the configuration adds."""
        async with self._lock:
            if chart.digest not in self._limits:
                try:
                    items: Sequence[manifest.Item] = await self._template(chart, "defaults", DEFAULT, b"{}", {})
                except errors.LostromosError as error:
                    if not self._kinds:
                        msg = (
                            f"the chart {chart.name} cannot be rendered with its defaults, so it is not known which "
                            f"kinds it may make; list them in the renderer's `kinds` ({error})"
                        )
                        raise errors.RefusedError(msg) from error
                    items = ()
                kinds = {(item.ref.group, item.ref.kind) for item in items}
                seen = {pair for item in items for pair in _control(item)}
                self._limits[chart.digest] = Limits(frozenset(kinds | self._kinds), frozenset(seen))
            return self._limits[chart.digest]

    def _refuse(self, items: Sequence[manifest.Item], limits: Limits, namespace: str) -> None:
        """Raise RefusedError for what the chart may not make."""
        for item in items:
            ref = item.ref
            if (ref.group, ref.kind) not in limits.kinds:
                msg = (
                    f"{item.file}: {ref}: the chart makes no {ref.kind} of its defaults; if it may, list "
                    f"{ref.kind}{'.' if ref.group else ''}{ref.group} in the renderer's `kinds`"
                )
                raise errors.RefusedError(msg)
            if ref.namespace != namespace:
                msg = f"{item.file}: {ref}: is in another namespace than the resource, {namespace}"
                raise errors.RefusedError(msg)
            for key, value in _control(item):
                if (key, value) not in limits.annotations:
                    msg = f"{item.file}: {ref}: has {key}={value}, which the chart does not make of its defaults"
                    raise errors.RefusedError(msg)


def _control(item: manifest.Item) -> list[tuple[str, str]]:
    """The labels and annotations of an object that tell us what to do with it."""
    metadata = item.data["metadata"]
    both = [metadata.get(field) for field in ("labels", "annotations")]
    pairs = [pair for one in both if isinstance(one, dict) for pair in one.items()]
    return [(str(key), str(value)) for key, value in pairs if str(key).startswith(_CONTROL)]


@final
@dataclasses.dataclass(frozen=True, slots=True)
class _File:
    """A file of a chart: Helm does not tell which line of it made a field."""

    name: str

    def locate(self, path: interfaces.Path) -> interfaces.Place | None:  # noqa: ARG002 - the protocol's
        return interfaces.Place(self.name, 0)
