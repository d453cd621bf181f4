"""Decide which controller and operator reconcile a resource, from the annotations that claim it.

Anyone who may edit a resource can change them, so a claim is trusted only as far as it keeps us from acting: a
resource claimed by another operator is left alone while that operator runs, and a resource that left our selection is
cleaned up only if its annotations name us.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final, final

from lostromos_core import errors, interfaces
from lostromos_core.kube import labels
from lostromos_core.kube.ownership import presence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lostromos_core.kube import cluster

LOOK_AGAIN: Final = 5.0
"""Seconds between two checks whether another operator runs, while that is unknown."""
STILL_THERE: Final = 30.0
"""Seconds between two checks whether another operator has stopped."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """Name the controller and the operator that claim a resource; both are empty without a claim.

    ``operator`` is also empty for a claim by version 0.1, which did not write it.
    """

    controller: str
    operator: str


def read(metadata: Mapping[str, Any]) -> Claim:
    """Return the claim in the annotations of a resource."""
    annotations = metadata.get("annotations") or {}
    return Claim(labels.claimant(metadata), str(annotations.get(labels.OPERATOR, "")))


@final
class Claims:
    """Evaluate claims for one controller of one operator. With an empty ``operator``, only controllers are compared."""

    def __init__(self, kube: cluster.Cluster, controller: str, operator: str) -> None:
        self._kube = kube
        self._controller = controller
        self._operator = operator

    def marks(self) -> dict[str, str]:
        """Return the annotations of our claim."""
        own = {labels.CONTROLLER: self._controller}
        return own | ({labels.OPERATOR: self._operator} if self._operator else {})

    def is_ours(self, metadata: Mapping[str, Any]) -> bool:
        """Return whether a resource is definitely claimed by us."""
        claim = read(metadata)
        return claim.controller == self._controller and (not self._operator or claim.operator == self._operator)

    def is_free(self, metadata: Mapping[str, Any]) -> bool:
        """Return whether a resource is ours, or at least not claimed by another controller or operator."""
        claim = read(metadata)
        free = not self._operator or claim.operator in {"", self._operator}
        return claim.controller in {"", self._controller} and free

    async def may_clean_up(self, owner: interfaces.Resource, *, known: bool = False) -> bool:
        """Return whether we have to clean up after a resource that is being deleted or has left the selection.

        ``known``: we applied objects for it before another controller claimed it. Raises ClaimedError while the
        operator that claims it may still do it, ApiError if that cannot be determined.
        """
        claim = read(owner.metadata)
        if claim.controller not in {"", self._controller}:
            return known
        if self.is_free(owner.metadata):
            return True
        if "deletionTimestamp" not in owner.metadata:
            return False  # it only left our selection
        await self.refuse_claimed(owner)
        return True

    async def refuse_claimed(self, owner: interfaces.Resource) -> None:
        """Raise ClaimedError if another controller or operator claims it; ApiError if that cannot be determined."""
        claim = read(owner.metadata)
        if claim.controller not in {"", self._controller}:
            msg = (
                f"{owner.ref} belongs to the controller {claim.controller!r} (annotation {labels.CONTROLLER}); "
                "make the two controllers' selections differ, or, if that controller is gone, run `lostromos cleanup "
                f"--kind {owner.ref.kind}.{owner.ref.group} --claimant {claim.controller}`"
            )
            raise errors.ClaimedError(msg)
        if self.is_free(owner.metadata):
            return
        liveness = await self._kube.shared(presence.OtherOperators).liveness(claim.operator)
        if liveness is not presence.Liveness.GONE:
            raise errors.ClaimedError(_explain(owner.ref, claim, liveness), retry_after=_pause(liveness))


def _pause(liveness: presence.Liveness) -> float:
    return LOOK_AGAIN if liveness is presence.Liveness.UNKNOWN else STILL_THERE


def _explain(ref: interfaces.ObjectRef, claim: Claim, liveness: presence.Liveness) -> str:
    who = f"{ref} belongs to the operator {errors.shorten(claim.operator, 300)} (annotation {labels.OPERATOR})"
    if liveness is presence.Liveness.UNKNOWN:
        return f"{who}; whether that is still running will be known in a few seconds"
    if liveness is presence.Liveness.HIDDEN:
        return (
            f"{who}, but whether that is still running is unknown, since its Lease cannot be read; give this operator "
            f"the verb get on it or, if that operator is gone, run `lostromos cleanup --kind {ref.kind}.{ref.group}`"
        )
    return f"{who}, which is running; make the two operators' selections differ, or stop that one"
