"""Delete objects of releases whose Secrets were deleted first: with their namespace, or by hand.

The resource records kinds, and each object names its release. Anyone who can edit the resource can add kinds, so they
tell where to look, never what belongs to the release.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

import structlog

from lostromos_core import errors, interfaces
from lostromos_core.kube.ownership import inventory_hints
from lostromos_core.kube.transport import api_errors, operations, paths
from lostromos_helm.objects import manifest, watched_objects
from lostromos_helm.release import storage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
    from typing import Any

    from lostromos_core.kube import cluster
    from lostromos_core.kube.kinds import discovery
    from lostromos_helm import settings
    from lostromos_helm.objects import contents
    from lostromos_helm.release import releases

Action = interfaces.Action
_log = structlog.get_logger("lostromos.helm")
LOOK_AGAIN: Final = 5.0
"""Seconds until deleted objects are checked again."""


def kinds_beyond(results: Iterable[interfaces.ObjectResult], namespace: str) -> set[inventory_hints.GroupKind]:
    """Return the kinds of a release's objects that are not deleted with its namespace."""
    whole = ("helm.sh", "Release")
    found = {(one.ref.group, one.ref.kind) for one in results if one.ref.namespace != namespace}
    return found - {whole}


@final
class Leftovers:
    """Find and delete leftovers of one controller's releases. ``namespaces``: those it is limited to, if any."""

    def __init__(
        self,
        kube: cluster.Cluster,
        inventory_: inventory_hints.Inventory,
        options: settings.HelmOptions,
        namespaces: Collection[str],
    ) -> None:
        self._kube = kube
        self._inventory = inventory_
        self._options = options
        self._namespaces = namespaces

    async def remove(
        self, owner: interfaces.Resource, places: Collection[releases.Place], known: contents.ReleaseContents | None
    ) -> list[interfaces.ObjectResult]:
        """Delete the objects of an owner's releases that no longer have a Secret; return those that remain.

        ``places``: where the releases were. ``known``: what they contained, as far as remembered. Raises ApiError.
        """
        if self._options.on_delete == "orphan":
            return []
        hints = self._inventory.hints(owner)
        refs = known.refs if known else ()
        kinds = {*hints.kinds, *((ref.group, ref.kind) for ref in refs)}
        spaces = {*hints.namespaces, *(ref.namespace for ref in refs), *(place[0] for place in places)} - {""}
        gone = {place for place in places if not await self._is_there(place)}
        if not gone or not kinds:
            return []
        found = []
        for group_kind in sorted(kinds)[: inventory_hints.MOST_HINTS]:
            kind = await self._served(owner, group_kind)
            if kind is None:
                continue
            async for metadata in self._carrying(owner, kind, sorted(spaces)[: inventory_hints.MOST_HINTS]):
                annotations = metadata.get("annotations") or {}
                place = annotations.get(watched_objects.NAMESPACE), annotations.get(watched_objects.RELEASE)
                if place in gone and not manifest.is_kept(annotations):
                    found += await self._delete(kind, metadata)
        return found

    async def _is_there(self, place: releases.Place) -> bool:
        """Return whether a release exists, whatever its owner."""
        async for _ in storage.secrets_of(self._kube, *place):
            return True
        return False

    async def _served(self, owner: interfaces.Resource, group_kind: inventory_hints.GroupKind) -> discovery.Kind | None:
        """Return how a kind is served; None if it is gone with all its objects, or was never ours. Raises ApiError."""
        found = await self._kube.discovery.by_group_kind(*group_kind)
        if found is not None:
            return found if {"list", "delete"} <= found.verbs else None
        ours = (await self._inventory.written(owner)).lead_to(group_kind, "")
        if ours and not await self._kube.removals.is_removed(*group_kind):
            msg = f"{owner.ref}: objects of kind {group_kind[1]} may be left, but the cluster does not serve it now"
            raise errors.ApiError(msg, status=503, retryable=True)
        return None

    async def _carrying(
        self, owner: interfaces.Resource, kind: discovery.Kind, spaces: Sequence[str]
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the metadata of a kind's objects with Helm's label, wherever they may be; raises ApiError."""
        labels = ",".join(f"{key}={value}" for key, value in watched_objects.LABELS.items())
        for space in spaces if kind.namespaced and self._namespaces else [""]:
            try:
                path = paths.collection(kind.api_version, kind.plural, space)
                action = f"look for what releases left of {kind.plural}"
                async for metadata in operations.pages(self._kube, path, action=action, labels=labels):
                    yield metadata
            except (errors.RefusedError, errors.ApiError) as error:
                if isinstance(error, errors.ApiError) and error.status not in api_errors.NO_ACCESS:
                    raise
                if (await self._inventory.written(owner)).lead_to(kind.group_kind, space):
                    raise
                _log.warning("an inventory hint cannot be followed", resource=owner.key, kind=kind.name)

    async def _delete(self, kind: discovery.Kind, metadata: Mapping[str, Any]) -> list[interfaces.ObjectResult]:
        """Delete one object; return its result if that fails, or if it must be waited for."""
        namespace, name = metadata.get("namespace") or "", metadata["name"]
        ref = interfaces.ObjectRef(kind.api_version, kind.name, namespace, name)
        path = paths.item(kind.api_version, kind.plural, namespace, name)
        try:
            answer = await operations.delete(self._kube, path, metadata["uid"], action=f"delete {ref}")
        except errors.ApiError as error:
            return [interfaces.ObjectResult(ref, Action.FAILED, str(error), retryable=error.retryable)]
        _log.info("deleted an object whose release had lost its Secret", object=str(ref))
        going = answer is not None and "deletionTimestamp" in (answer.get("metadata") or {})
        if not (going and self._options.wait):
            return []
        return [interfaces.ObjectResult(ref, Action.WAITING, "its own finalizers hold it", after=LOOK_AGAIN)]
