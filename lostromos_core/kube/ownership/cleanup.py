"""Clean up after an operator that is gone: find resources that still carry its annotations, and release them.

Nothing is guessed: a resource counts as claimed only if an annotation names its claimant, or it has our finalizer.
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
    """Describe a resource that is or was claimed. ``claimant`` and ``operator`` are empty if it does not name them."""

    ref: interfaces.ObjectRef
    uid: str
    claimant: str
    operator: str
    metadata: Mapping[str, Any]

    @property
    def has_finalizer(self) -> bool:
        """Return whether our finalizer prevents its deletion."""
        return labels.FINALIZER in (self.metadata.get("finalizers") or ())


async def find(kube: cluster.Cluster, kind: discovery.Kind, namespace: str = "") -> AsyncIterator[Claimed]:
    """Yield all resources of a kind that carry our claim, or only our finalizer; raises ApiError."""
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
    """Return whether the operator of a resource runs or may run; wait until that is known. Raises ApiError."""
    operators = kube.shared(presence.OtherOperators)
    operators.patient = True
    return bool(claimed.operator) and await operators.liveness(claimed.operator) is not presence.Liveness.GONE


async def let_go(kube: cluster.Cluster, claimed: Claimed) -> None:
    """Remove our labels, annotations and finalizer from a resource; its objects stay."""
    await releasing.release(kube, claimed.ref, claimed.uid, claimed.metadata)


async def objects_of(kube: cluster.Cluster, claimed: Claimed) -> list[tracked_objects.TrackedObject]:
    """Return the objects that its hints lead to and that are to be deleted with a resource; raises ApiError."""
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
            msg = f"the cluster does not serve the kind {name} ({group}) now, but may have objects of it; retry later"
            raise errors.ApiError(msg, status=503, reason=discovery.UNAVAILABLE)
        if kind is not None and {"list", "delete"} <= kind.verbs:
            found += [child for child in await tracked_objects.of(kube, claimed.ref, kind) if child.ours]
    return [child for child in found if not child.orphan]


async def delete(kube: cluster.Cluster, child: tracked_objects.TrackedObject) -> None:
    """Delete one object, and only the one with this uid."""
    await operations.delete(kube, child.path, child.uid, action=f"delete {child.ref}")
