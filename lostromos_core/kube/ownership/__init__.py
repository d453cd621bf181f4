"""Decide which operator reconciles a resource, and which objects belong to it.

``lease``, ``holders`` and ``presence`` detect which operators run; ``claims`` decides which of them reconciles a
resource. ``inventory`` and ``inventory_hints`` record which kinds were applied for a resource, on the resource or, if
it is not a Kubernetes object, in ConfigMaps (``config_maps``); ``job_runs`` records Jobs that have run. ``releasing``
removes our labels, annotations and finalizer, and ``cleanup`` does so for operators that are gone.
"""
