"""What the cluster serves, as arguments of ``helm template``, which looks at no cluster: charts ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lostromos_core.kube import client
    from lostromos_helm import traits

LOOK: Final = 300.0
"""Seconds after which it is read again, when something is rendered."""


@final
class Served:
    """The version of a cluster and its kinds."""

    def __init__(self, kube: client.Kube) -> None:
        self._kube = kube
        self._version = ""
        self._groups: dict[str, frozenset[str]] = {}

    async def flags(self, chart: traits.Traits) -> Sequence[str]:
        """Return the arguments for a chart; the kinds only if it asks for them. Raises ApiError."""
        if not self._version:
            about = await self._kube.request("GET", "/version", action="read the cluster's version")
            self._version = str(about["gitVersion"])
        found = [f"--kube-version={self._version}"]
        if chart.asks:
            found += [f"--api-versions={name}" for name in await self._names(chart)]
        return found

    async def _names(self, chart: traits.Traits) -> Sequence[str]:
        """Groups with versions, and with kinds, as Helm names them; of a group that is away, as they were.

        Source: https://github.com/helm/helm/blob/main/pkg/action/action.go, GetVersionSet
        """
        kinds, away = await self._kube.discovery.everything(seconds=LOOK)
        groups: dict[str, set[str]] = {}
        for kind in kinds:
            names = groups.setdefault(kind.api_version.rpartition("/")[0], set())
            names |= {kind.api_version, f"{kind.api_version}/{kind.name}"}
        for group in away:
            if group not in self._groups and group in chart.groups:
                msg = f"the chart asks for the API group {group}, and its server does not answer"
                raise errors.ApiError(msg, status=503, retryable=True)
            groups[group] = {*groups.get(group, ()), *self._groups.get(group, ())}
        self._groups = {group: frozenset(names) for group, names in groups.items()}
        return sorted({name for names in groups.values() for name in names})
