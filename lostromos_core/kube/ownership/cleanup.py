"""Cleaning up after an operator that is gone: resources that still carry its marks are found, and let go.

Nothing is guessed: what counts as claimed says so in the annotation of its claimant, or carries our finalizer.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, final

from lostromos_core import errors, interfaces
from lostromos_core.kube import labels
from lostromos_core.kube.kinds import discovery
from lostromos_core.kube.ownership import claims, inventory, presence, releasing
from lostromos_core.kube.tracking import tracked_objects
from lostromos_core.kube.transport import operations, paths

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from lostromos_core.kube import cluster


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Claimed:
    """A resource that is looked after, or was. ``claimant`` and ``operator`` are empty if it does not say by whom."""

    ref: interfaces.ObjectRef
    uid: str
    claimant: str
    operator: str
    metadata: Mapping[str, Any]

    @property
    def has_finalizer(self) -> bool:
        """Whether it cannot go while nobody removes our finalizer."""
        return labels.FINALIZER in (self.metadata.get("finalizers") or ())


async def find(kube: cluster.Cluster, kind: discovery.Kind, namespace: str = "") -> AsyncIterator[Claimed]:
    """All resources of a kind that carry our marks, or our finalizer only; raises ApiError."""
    path = paths.collection(kind.api_version, kind.plural, namespace if kind.namespaced else "")
    async for metadata in operations.pages(kube, path, action=f"look for {kind.plural}"):
        claim = claims.read(metadata)
        found = Claimed(
            interfaces.ObjectRef(kind.api_version, kind.name, metadata.get("namespace") or "", metadata["name"]),
            metadata.get("uid", ""),
            claim.controller,
            claim.operator,
            metadata,
        )
        if found.claimant or found.has_finalizer:
            yield found


async def is_looked_after(kube: cluster.Cluster, claimed: Claimed) -> bool:
    """Return whether the operator of a resource runs, or may run; waits until that is known. Raises ApiError."""
    operators = kube.shared(presence.OtherOperators)
    operators.patient = True
    return bool(claimed.operator) and await operators.liveness(claimed.operator) is not presence.Liveness.GONE


async def let_go(kube: cluster.Cluster, claimed: Claimed) -> None:
    """Take our marks and the finalizer off a resource; its objects stay."""
    await releasing.release(kube, claimed.ref, claimed.uid, claimed.metadata)


async def objects_of(kube: cluster.Cluster, claimed: Claimed) -> list[tracked_objects.TrackedObject]:
    """The objects that were applied for a resource and shall go with it, as its hints say where to look."""
    path = paths.item(
        claimed.ref.api_version,
        (await kube.discovery.kind(claimed.ref.api_version, claimed.ref.kind)).plural,
        claimed.ref.namespace,
        claimed.ref.name,
    )
    item = await operations.read_outline(kube, path, action=f"read {claimed.ref}")
    resource = interfaces.Resource(labels.key_of(claimed.ref), claimed.ref, claimed.uid, item)
    found = []
    for group, name in sorted(inventory.hints_of(resource).kinds):
        kind = await kube.discovery.by_group_kind(group, name)
        if kind is None and not await kube.removals.is_removed(group, name):
            msg = (
                f"the cluster does not serve the kind {name} ({group}) now, and objects of it may be left; try it later"
            )
            raise errors.ApiError(msg, status=503, reason=discovery.UNAVAILABLE)
        if kind is not None and {"list", "delete"} <= kind.verbs:
            found += [child for child in await tracked_objects.of(kube, claimed.ref, kind) if child.ours]
    return [child for child in found if not child.orphan]


async def delete(kube: cluster.Cluster, child: tracked_objects.TrackedObject) -> None:
    """Delete one object, and only this one."""
    await operations.delete(kube, child.path, child.uid, action=f"delete {child.ref}")
