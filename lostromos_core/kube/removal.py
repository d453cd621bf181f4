"""Whether a kind has been removed from the cluster, for sure: with it, all of its objects are gone.

Discovery alone proves nothing: a server that has just started behind a load balancer does not list custom kinds for a
moment, and a group whose server is down lists none. What is decided here lets finalizers come off.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, final

from lostromos_core import errors
from lostromos_core.kube import paths, requests

if TYPE_CHECKING:
    from lostromos_core.kube import cluster

DEFINITIONS: Final = ("apiextensions.k8s.io/v1", "customresourcedefinitions")
API_SERVICES: Final = ("apiregistration.k8s.io/v1", "apiservices")
BELIEVE: Final = 5.0
"""Seconds for which an answer is believed: thousands of resources of a kind may ask at once."""
LONG_ENOUGH: Final = 60.0
"""Seconds that discovery has to miss a kind where we may not read the definitions themselves."""


@final
class _Answers:
    """What was found out about kinds, by group and name: until when it is believed, and whether they are removed."""

    def __init__(self, _kube: cluster.Cluster) -> None:
        self.until: dict[tuple[str, str], tuple[float, bool]] = {}


async def is_removed(kube: cluster.Cluster, group: str, kind: str) -> bool:
    """Return whether a kind is neither served nor defined; False while that is not sure. Raises ApiError."""
    if await kube.discovery.by_group_kind(group, kind) is not None:
        return False
    believed = kube.shared(_Answers).until
    until, removed = believed.get((group, kind), (0.0, False))
    if time.monotonic() < until:
        return removed
    try:
        removed = not await _is_defined(kube, group, kind) and not await _may_be_aggregated(kube, group, kind)
    except errors.ApiError as error:
        if error.status != 403:  # noqa: PLR2004 - HTTP
            raise
        return kube.discovery.missing_for(group, kind) >= LONG_ENOUGH
    believed[group, kind] = time.monotonic() + BELIEVE, removed
    return removed


async def _is_defined(kube: cluster.Cluster, group: str, kind: str) -> bool:
    """Return whether a CustomResourceDefinition makes a kind; raises ApiError."""
    path = paths.collection(*DEFINITIONS)
    async for metadata in requests.pages(kube, path, action="look for the definition of a kind"):
        name = metadata["name"]
        if not name.endswith(f".{group}"):
            continue
        try:
            found = await kube.request("GET", paths.item(*DEFINITIONS, "", name), action=f"read the definition {name}")
        except errors.ApiError as error:
            if error.status != requests.NOT_FOUND:
                raise
            continue
        if found["spec"]["group"] == group and found["spec"]["names"]["kind"] == kind:
            return True
    return False


async def _may_be_aggregated(kube: cluster.Cluster, group: str, kind: str) -> bool:
    """Return whether another API server serves a group, and does not say that it lacks the kind. Raises ApiError.

    What is aggregated is asked for by the API server itself, now and then: until then it is not listed.
    """
    async for metadata in requests.pages(kube, paths.collection(*API_SERVICES), action="look for aggregated APIs"):
        name = metadata["name"]
        if name.partition(".")[2] == group and await _is_silent(kube, name, kind):
            return True
    return False


async def _is_silent(kube: cluster.Cluster, name: str, kind: str) -> bool:
    """Return whether an APIService is another server's that does not answer, or that has the kind. Raises ApiError."""
    try:
        found = await kube.request("GET", paths.item(*API_SERVICES, "", name), action=f"read APIService {name}")
        if not found["spec"].get("service"):
            return False
        place = paths.prefix(f"{found['spec']['group']}/{found['spec']['version']}")
        served = await kube.request("GET", place, action=f"read the kinds of {name}")
    except errors.ApiError as error:
        return error.status != requests.NOT_FOUND
    return any(one.get("kind") == kind for one in served.get("resources") or ())
