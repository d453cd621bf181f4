"""Declare the options of both appliers, and create the sets from them.

A model is the one declaration of its options, for lostromos.yaml and for Python. ``Keywords`` repeats their names and
types, since type checkers cannot derive the keywords of a constructor from a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypedDict

import pydantic

from lostromos_core import Options, backends
from lostromos_core.kube.ownership import config_maps, inventory
from lostromos_kubectl import applyset
from lostromos_kubectl.objects import desired_objects  # noqa: TC001 - pydantic reads the annotation
from lostromos_kubectl.pruning import prune
from lostromos_kubectl.writing import rules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lostromos_core import interfaces
    from lostromos_kubectl.writing import sending


class Keywords(TypedDict, total=False):
    """List the fields of ``ApplierOptions`` as keyword arguments, for signatures."""

    conflicts: desired_objects.Conflicts
    finalizer: inventory.Finalizer
    ignore: Mapping[str, Sequence[str]]
    wait: bool
    inventory_namespace: str
    prune_objects: int
    prune_share: float
    prune_controller_share: float


class KubectlKeywords(Keywords, total=False):
    """List the fields of ``KubectlOptions`` as keyword arguments, for signatures."""

    binary: str
    timeout: float


class PruneOptions(Options):
    """Limit how much is pruned without consent on the resource."""

    objects: int = pydantic.Field(default=prune.OBJECTS, ge=0, description="Objects of one resource.")
    share: float = pydantic.Field(default=prune.SHARE, ge=0, le=1, description="Share of one resource's objects.")
    controller_share: float = pydantic.Field(
        default=prune.CONTROLLER_SHARE,
        ge=0,
        le=1,
        alias="controllerShare",
        description="Share of all objects of the controller.",
    )


class ApplierOptions(Options):
    """Configure what both appliers do alike.

    As keywords for Python, the options of ``prune`` are ``prune_objects``, ``prune_share`` and
    ``prune_controller_share``.
    """

    conflicts: desired_objects.Conflicts = pydantic.Field(
        default="fail",
        description="When another manager owns a field that a template sets: name it, take it over, or leave it.",
    )
    finalizer: inventory.Finalizer = pydantic.Field(
        default="auto",
        description="Whether resources get a finalizer; auto: only where garbage collection is not enough.",
    )
    ignore: dict[str, tuple[backends.Pointer, ...]] = pydantic.Field(
        default_factory=dict,
        description="Kind: JSON pointers to fields that other field managers may own, such as /spec/replicas.",
    )
    wait: bool = pydantic.Field(default=False, description="Resources are ready only when their objects are.")
    inventory_namespace: backends.InventoryNamespace = ""
    prune: PruneOptions = pydantic.Field(default_factory=PruneOptions)

    @classmethod
    def from_keywords(cls, keywords: Mapping[str, object]) -> Self:
        """Return options for the keyword arguments of a constructor; raises ConfigError."""
        limits = {name: value for name, value in keywords.items() if name.startswith("prune_")}
        others = {name: value for name, value in keywords.items() if name not in limits}
        named = {name.removeprefix("prune_"): value for name, value in limits.items()}
        return super().from_keywords(others | {"prune": PruneOptions.from_keywords(named)})

    def keywords(self) -> dict[str, Any]:
        """Return the options as keyword arguments of a constructor."""
        found = super().keywords()
        limits: PruneOptions = found.pop("prune")
        return found | {f"prune_{name}": value for name, value in limits.keywords().items()}

    def sets(self, runtime: interfaces.Runtime, sender: sending.Sender) -> applyset.ApplySets:
        """Create the sets of one controller."""
        owners = config_maps.choose(runtime, namespace=self.inventory_namespace, finalizer=self.finalizer)
        limits = prune.Limits(self.prune.objects, self.prune.share, self.prune.controller_share)
        policy = rules.Policy(self.conflicts, self.ignore)
        return applyset.ApplySets(runtime, sender, owners, policy=policy, limits=limits, wait=self.wait)


class ServerSideOptions(ApplierOptions):
    """Configure native server-side apply."""


class KubectlOptions(ApplierOptions):
    """Configure the real kubectl, which is called once for all objects that can be sent together."""

    binary: str = pydantic.Field(default="", description="The path of kubectl; found on PATH by default.")
    timeout: float = pydantic.Field(default=120.0, gt=0, description="Seconds that one call may take.")
