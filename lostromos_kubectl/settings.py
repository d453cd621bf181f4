"""Define the options that both appliers share, as keywords for Python, and create the sets from them.

For lostromos.yaml, ``plugin`` declares the same options.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, TypedDict, final

from lostromos_core.kube.ownership import config_maps, inventory
from lostromos_kubectl import applyset
from lostromos_kubectl.pruning import prune
from lostromos_kubectl.writing import rules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lostromos_core import interfaces
    from lostromos_kubectl.objects import desired_objects
    from lostromos_kubectl.writing import sending


class Keywords(TypedDict, total=False):
    """List the fields of ``Settings`` as keyword arguments, for signatures."""

    conflicts: desired_objects.Conflicts
    finalizer: inventory.Finalizer
    ignore: Mapping[str, Sequence[str]]
    wait: bool
    inventory_namespace: str
    prune_objects: int
    prune_share: float
    prune_controller_share: float


@final
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Describe how objects are managed.

    ``conflicts``: what to do when another field manager owns a field that we set: ``fail`` names it, ``force`` takes
    it, ``yield`` leaves it. ``finalizer``: see ``inventory.ParentInventory``. ``ignore``: JSON pointers by kind, to
    fields that are ours until another field manager takes them. ``wait``: a resource is ready only when its objects
    are. ``inventory_namespace``: where to remember the objects of resources that are not Kubernetes objects.
    ``prune_...``: how many objects of a resource, which share of them, and of a controller's, are pruned without
    consent.
    """

    conflicts: desired_objects.Conflicts = "fail"
    finalizer: inventory.Finalizer = "auto"
    ignore: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    wait: bool = False
    inventory_namespace: str = ""
    prune_objects: int = prune.OBJECTS
    prune_share: float = prune.SHARE
    prune_controller_share: float = prune.CONTROLLER_SHARE

    def sets(self, runtime: interfaces.Runtime, sender: sending.Sender) -> applyset.ApplySets:
        """Create the sets of one controller."""
        owners = config_maps.choose(runtime, namespace=self.inventory_namespace, finalizer=self.finalizer)
        limits = prune.Limits(self.prune_objects, self.prune_share, self.prune_controller_share)
        policy = rules.Policy(self.conflicts, self.ignore)
        return applyset.ApplySets(runtime, sender, owners, policy=policy, limits=limits, wait=self.wait)
