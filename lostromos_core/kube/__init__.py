"""Talk to the Kubernetes API; no other package of the core does.

In the order of the data flow:

- ``auth`` locates the cluster and authenticates to it.
- ``transport`` sends requests.
- ``kinds`` discovers the kinds that the cluster serves.
- ``cluster`` combines a client with the caches of one operator.
- ``watching`` watches collections.
- ``managed_fields`` compares the fields that field managers own.
- ``tracking`` tracks the objects that belong to resources.
- ``ownership`` decides which operator reconciles a resource, and which objects belong to it.
- ``lookup`` looks up objects for templates.
- ``reporting`` writes status and Events.
- ``watcher`` contains the KubernetesWatcher, which builds on all of these; ``resource_events`` handles its events.
- ``labels`` defines the labels, annotations and the finalizer that we write.

Applications use ``Client``, ``Cluster``, ``LookupPolicy`` and ``paths``. ``lookups`` is the old module of LookupPolicy.
"""

import importlib
import types
from typing import Final

from lostromos_core import deprecations
from lostromos_core.kube.cluster import Cluster
from lostromos_core.kube.lookup.lookups import Policy as LookupPolicy
from lostromos_core.kube.transport import paths
from lostromos_core.kube.transport.client import Client

__all__ = ["Client", "Cluster", "LookupPolicy", "paths"]

_MOVED: Final = {
    "answers": "transport.api_errors",
    "client": "transport.client",
    "discovery": "kinds.discovery",
    "events": "reporting.events",
    "marks": "labels",
    "schema": "kinds.schema",
    "watch": "watching.watch",
}
"""Modules that were public in version 0.1, and their new locations."""


def __getattr__(name: str) -> types.ModuleType:
    """Return a module by the name that it had in version 0.1."""
    if name in _MOVED:
        new = f"{__name__}.{_MOVED[name]}"
        deprecations.warn(f"{__name__}.{name}", new)
        return importlib.import_module(new)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
