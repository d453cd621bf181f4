"""Appliers for Kubernetes objects: ``server-side`` (native server-side apply) and ``kubectl`` (the real binary).

In the order in which data passes:

- ``settings`` are the options that both have.
- ``applyset`` applies the objects of a resource as one set.
- ``objects`` knows the desired objects of a resource, and what has become of them.
- ``writing`` writes them, through ``server_side`` or ``kubectl``.
- ``pruning`` deletes those that are no longer wanted.
- ``plugin`` registers both appliers.
"""

from lostromos_kubectl.kubectl import KubectlApplier
from lostromos_kubectl.server_side import ServerSideApplier

__all__ = ["KubectlApplier", "ServerSideApplier"]
