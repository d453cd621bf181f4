"""Plan the release for a resource and its values: which chart, under which name, with which digest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

import structlog

from lostromos_core import errors
from lostromos_core.kube import labels
from lostromos_helm import settings
from lostromos_helm.charts import chart_cache, lint, references
from lostromos_helm.helm import binary, hiding
from lostromos_helm.release import commands, helm_values, naming

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lostromos_core import interfaces
    from lostromos_core.kube import cluster

_log = structlog.get_logger("lostromos.helm")
SHOWN: Final = 5
"""Places of a chart that are listed in a message."""
MOST_SEEN: Final = 1000
"""Charts that are remembered, so that warnings about them are not repeated."""
CHART: Final = "lostromos.dev/chart"
"""Annotation of a resource: the chart that it wants, if the controller allows that."""


def chart(given: str | references.Reference, options: settings.HelmOptions) -> references.Reference | None:
    """Return the controller's own chart, None if resources must name theirs; raises ConfigError."""
    found = references.parse(given, options.base) if isinstance(given, str) and given else given
    if not found and not options.allow:
        msg = "applier helm: name a `chart`, or the charts that resources may choose with `allow`"
        raise errors.ConfigError(msg)
    return found if isinstance(found, references.Reference) else None


async def open_charts(
    kube: cluster.Cluster | None,
    options: settings.AccessOptions,
    own: references.Reference | None,
    *,
    changed: Callable[[], None],
) -> tuple[binary.Helm, chart_cache.Charts]:
    """Start Helm, and return it with its charts; the controller's own is read if it is on this machine.

    Raises ConfigError.
    """
    home = settings.writable(options.folder)
    helm = binary.Helm(kube, binary=options.binary, home=home, processes=options.processes, timeout=options.timeout)
    await helm.start()
    known = chart_cache.Charts(helm, home / "charts", options.access, changed)
    if own is not None and own.path:
        await known.get(own)
    return helm, known


@final
class Planner:
    """Make the release plans of one controller. ``reference`` is its own chart."""

    def __init__(
        self,
        reference: references.Reference | None,
        known: chart_cache.Charts,
        helm: binary.Helm,
        controller: str,
        options: settings.HelmOptions,
    ) -> None:
        self._chart = reference
        self._charts = known
        self._helm = helm
        self._controller = controller
        self._options = options
        self._looked_at: set[str] = set()

    async def make(self, owner: interfaces.Resource, rendered: interfaces.Values) -> commands.ReleasePlan:
        """Return the desired release; raises RefusedError, ConfigError, RenderError."""
        chart = await self._charts.get(self._reference(owner))
        self._warn(chart)
        encoded = helm_values.encode(rendered.values)
        namespace = self._options.namespace or owner.ref.namespace
        if not namespace:
            msg = f"{owner.ref} has no namespace, but a release needs one: set the applier's `namespace`"
            raise errors.RefusedError(msg)
        version = self._helm.version
        about = f"{version.major}.{version.minor} {self._options.hooks}"
        return commands.ReleasePlan(
            owner=owner,
            owner_id=labels.set_id(owner.ref),
            place=(namespace, naming.release_name(self._options.prefix_of(self._controller), owner, namespace)),
            chart=chart,
            rendered=rendered,
            input=encoded,
            digest=helm_values.digest(chart.digest.encode(), encoded, about.encode()),
            secrets=hiding.Hidden(rendered.hidden, owner.data),
        )

    def _warn(self, chart: chart_cache.Chart) -> None:
        """Warn once per chart if values can become structure or templates in it."""
        if chart.digest in self._looked_at:
            return
        if len(self._looked_at) > MOST_SEEN:
            self._looked_at.clear()
        self._looked_at.add(chart.digest)
        places = lint.look(chart.path)
        if places.unquoted:
            _log.warning(
                "the chart writes values without quotes: users who set them can create other objects, within the "
                "operator's rights; quote them, or use the renderer helm-template",
                chart=chart.name,
                places=_shown(places.unquoted),
            )
        if places.rendered:
            _log.warning(
                "the chart renders values as templates (tpl): users who set them can read what the operator may "
                "read, even Secrets in all namespaces, and all other values; choose these values yourself, in a "
                "values template, or use the renderer helm-template, where `lookup` finds nothing",
                chart=chart.name,
                places=_shown(places.rendered),
            )

    def _reference(self, owner: interfaces.Resource) -> references.Reference:
        wanted = str((owner.metadata.get("annotations") or {}).get(CHART, ""))
        if wanted:
            return references.chosen(wanted, self._options.allow, self._options.base)
        if self._chart is not None:
            return self._chart
        msg = f"{owner.ref} names no chart: add the annotation {CHART}"
        raise errors.RefusedError(msg)


def _shown(places: Sequence[str]) -> str:
    return ", ".join(places[:SHOWN]) + (f" and {len(places) - SHOWN} more" if len(places) > SHOWN else "")
