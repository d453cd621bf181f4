"""Provide appliers for Kubernetes objects: ``server-side`` (native server-side apply) and ``kubectl`` (the binary).

In the order in which data flows:

- ``settings`` defines the options that both appliers share.
- ``applyset`` applies the objects of a resource as one set.
- ``objects`` builds the desired objects of a resource, and tracks their state.
- ``writing`` writes them, through ``server_side`` or ``kubectl``.
- ``pruning`` deletes those that are no longer wanted.
- ``plugin`` declares these options for lostromos.yaml, and registers both appliers.
"""

from lostromos_kubectl.kubectl import KubectlApplier
from lostromos_kubectl.server_side import ServerSideApplier

__all__ = ["KubectlApplier", "ServerSideApplier"]
