"""Register the appliers ``server-side`` and ``kubectl`` as the plug-in ``kubectl``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic

from lostromos_core import Backend, Options, hookimpl
from lostromos_kubectl import kubectl, server_side
from lostromos_kubectl.pruning import prune

Pointer = Annotated[str, pydantic.StringConstraints(pattern=r"^(/[^/]+)+$")]


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
    """Configure what both appliers do alike. For Python, ``settings`` declares the same options."""

    conflicts: Literal["fail", "force", "yield"] = pydantic.Field(
        default="fail",
        description="When another manager owns a field that a template sets: name it, take it over, or leave it.",
    )
    finalizer: Literal["auto", "always", "never"] = pydantic.Field(
        default="auto",
        description="Whether resources get a finalizer; auto: only where garbage collection is not enough.",
    )
    ignore: dict[str, tuple[Pointer, ...]] = pydantic.Field(
        default_factory=dict,
        description="Kind: JSON pointers to fields that other field managers may own, such as /spec/replicas.",
    )
    wait: bool = pydantic.Field(default=False, description="Resources are ready only when their objects are.")
    inventory_namespace: str = pydantic.Field(
        default="",
        alias="inventoryNamespace",
        description="For resources that are no Kubernetes objects: where ConfigMaps remember what was applied.",
    )
    prune: PruneOptions = pydantic.Field(default_factory=PruneOptions)

    def keywords(self) -> dict[str, Any]:
        """Return the keyword arguments of the appliers' constructors."""
        found = self.model_dump(exclude={"prune"})
        limits = self.prune
        found |= {"prune_objects": limits.objects, "prune_share": limits.share}
        return found | {"prune_controller_share": limits.controller_share}


class ServerSideOptions(ApplierOptions):
    """Configure native server-side apply."""


class KubectlOptions(ApplierOptions):
    """Configure the real kubectl, which is called once for all objects that can be sent together."""

    binary: str = pydantic.Field(default="", description="The path of kubectl; found on PATH by default.")
    timeout: float = pydantic.Field(default=120.0, gt=0, description="Seconds that one call may take.")


@hookimpl
def lostromos_appliers() -> dict[str, Backend]:
    """Return the appliers ``server-side`` and ``kubectl``."""
    return {
        "server-side": Backend(ServerSideOptions, lambda options: server_side.ServerSideApplier(**options.keywords())),
        "kubectl": Backend(KubectlOptions, lambda options: kubectl.KubectlApplier(**options.keywords())),
    }
