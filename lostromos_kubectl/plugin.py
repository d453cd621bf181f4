"""The plug-in ``kubectl``: registers the appliers ``server-side`` and ``kubectl``."""

from __future__ import annotations

from typing import Literal

import pydantic

from lostromos_core import Backend, Options, hookimpl
from lostromos_kubectl import kubectl, server_side


class ServerSideOptions(Options):
    """Native server-side apply."""

    conflicts: Literal["fail", "force"] = pydantic.Field(
        default="fail", description="When another manager owns a field that a template sets: name it, or take it over."
    )
    finalizer: Literal["auto", "always", "never"] = pydantic.Field(
        default="auto",
        description="Whether resources get a finalizer; auto: only where garbage collection is not enough.",
    )


class KubectlOptions(ServerSideOptions):
    """The real kubectl, one call a resource."""

    binary: str = pydantic.Field(default="", description="The path of kubectl; found on PATH by default.")
    timeout: float = pydantic.Field(default=120.0, gt=0, description="Seconds that one call may take.")


@hookimpl
def lostromos_appliers() -> dict[str, Backend]:
    """``server-side`` and ``kubectl``."""
    return {
        "server-side": Backend(
            ServerSideOptions, lambda options: server_side.ServerSideApplier(**options.model_dump())
        ),
        "kubectl": Backend(KubectlOptions, lambda options: kubectl.KubectlApplier(**options.model_dump())),
    }
