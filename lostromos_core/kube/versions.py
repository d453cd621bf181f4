"""Kinds whose versions come and go: an object lives in all versions of its group, and is found in the one served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lostromos_core import errors
from lostromos_core.kube import discovery, removal

if TYPE_CHECKING:
    from lostromos_core.kube import cluster


async def served(kube: cluster.Cluster, kind: discovery.Kind) -> discovery.Kind:
    """Return how a kind is served: in its own version or, if that is gone, in another. Raises ApiError if in none."""
    try:
        return await kube.discovery.kind(kind.api_version, kind.name)
    except discovery.NoSuchKindError:
        found = await kube.discovery.by_group_kind(_group(kind), kind.name)
        if found is None:
            raise
        return found


async def elsewhere(kube: cluster.Cluster, kind: discovery.Kind) -> discovery.Kind | None:
    """Return how a kind is served, after a path of it was not found; None if it was removed with all its objects.

    Raises ApiError as long as that is not sure.
    """
    kube.discovery.forget(kind.api_version, kind.name)
    found = await kube.discovery.by_group_kind(_group(kind), kind.name)
    if found is None:
        if await removal.is_removed(kube, _group(kind), kind.name):
            return None
        msg = f"the cluster does not serve the kind {kind.name} ({_group(kind)}) now, in any version"
        raise errors.ApiError(msg, status=503, reason=discovery.UNAVAILABLE)
    if (found.api_version, found.plural, found.namespaced) == (kind.api_version, kind.plural, kind.namespaced):
        msg = f"the API server lists the kind {kind.name} ({kind.api_version}) and does not find its objects"
        raise errors.ApiError(msg, status=503, reason=discovery.UNAVAILABLE)
    return found


def _group(kind: discovery.Kind) -> str:
    return kind.api_version.rpartition("/")[0]
