"""Appliers for Kubernetes objects: ``server-side`` (native server-side apply) and ``kubectl`` (the real binary)."""

from lostromos_kubectl.kubectl import KubectlApplier
from lostromos_kubectl.server_side import ServerSideApplier

__all__ = ["KubectlApplier", "ServerSideApplier"]
