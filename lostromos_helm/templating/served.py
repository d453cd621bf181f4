"""Tell ``helm template``, which contacts no cluster, the version and kinds that the cluster serves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, final

from lostromos_core import errors, interfaces
from lostromos_core.kube.transport import api_errors, operations, paths

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from lostromos_core.kube import cluster
    from lostromos_helm.charts import traits

LOOK: Final = 300.0
"""Seconds after which the served kinds are read again at the next rendering."""
_Name = tuple[str, str]
"""An apiVersion and a kind."""


@final
class Served:
    """Read the version of a cluster and its kinds.

    Guarantees: a kind that the cluster has is never reported missing because an API server does not answer, or has just
    started and does not list it yet. The chart would then make fewer objects, and the others would be deleted.
    """

    def __init__(self, kube: cluster.Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._kube = kube
        self._clock = clock
        self._version = ""
        self._kinds: set[_Name] = set()
        self._absent: dict[str, float] = {}

    async def flags(self, chart: traits.Traits) -> Sequence[str]:
        """Return the arguments for a chart, with kinds only if the chart reads them. Raises ApiError."""
        if not self._version:
            about = await self._kube.request("GET", "/version", action="read the cluster's version")
            self._version = str(about["gitVersion"])
        found = [f"--kube-version={self._version}"]
        if chart.asks:
            found += [f"--api-versions={name}" for name in await self._names(chart)]
        return found

    async def _names(self, chart: traits.Traits) -> Sequence[str]:
        """Return API versions, and API versions with kinds, in Helm's notation.

        Source: https://github.com/helm/helm/blob/main/pkg/action/action.go, GetVersionSet
        """
        listed, away = await self._kube.discovery.everything(seconds=LOOK)
        kinds = {(one.api_version, one.name) for one in listed}
        kinds |= set(await self._unlisted(kinds, away))
        for group in chart.groups - {interfaces.group_of(api_version) for api_version, _ in kinds}:
            if group in away or await self._is_registered(group):
                self._kube.discovery.look_again()
                msg = f"the chart asks for the API group {group}, which the cluster has but does not serve now"
                raise errors.ApiError(msg, status=503, retryable=True)
        self._kinds = kinds
        return sorted({name for api_version, kind in kinds for name in (api_version, f"{api_version}/{kind}")})

    async def _unlisted(self, listed: Collection[_Name], away: Collection[str]) -> Collection[_Name]:
        """Return the kinds that are no longer listed, unless all of them were removed; raises ApiError."""
        present = {(interfaces.group_of(api_version), kind) for api_version, kind in listed}
        missing = {one for one in self._kinds if (interfaces.group_of(one[0]), one[1]) not in present}
        for api_version, kind in missing:
            group = interfaces.group_of(api_version)
            if group in away or not await self._kube.removals.is_removed(group, kind):
                return missing  # the others may be unavailable too, until the next look
        return ()

    async def _is_registered(self, group: str) -> bool:
        """Return whether an APIService exists for a group, listed or not; absence is cached. Raises ApiError."""
        if self._clock() - self._absent.get(group, float("-inf")) < LOOK:
            return False
        try:
            path = paths.collection("apiregistration.k8s.io/v1", "apiservices")
            found = [one["name"] async for one in operations.pages(self._kube, path, action="look for API groups")]
        except errors.ApiError as error:
            if error.status not in api_errors.NO_ACCESS:
                raise
            found = []
        if any(name.partition(".")[2] == group for name in found):
            return True
        self._absent[group] = self._clock()
        return False
