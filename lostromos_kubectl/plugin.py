"""Register the appliers ``server-side`` and ``kubectl`` as the plug-in ``kubectl``."""

from __future__ import annotations

from lostromos_core import Backend, hookimpl
from lostromos_kubectl import kubectl, server_side, settings


@hookimpl
def lostromos_appliers() -> dict[str, Backend]:
    """Return the appliers ``server-side`` and ``kubectl``."""
    return {
        "server-side": Backend(
            settings.ServerSideOptions, lambda options: server_side.ServerSideApplier(**options.keywords())
        ),
        "kubectl": Backend(settings.KubectlOptions, lambda options: kubectl.KubectlApplier(**options.keywords())),
    }
