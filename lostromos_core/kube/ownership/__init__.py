"""Decide which operator reconciles a resource, and which objects belong to it.

``lease``, ``holders`` and ``presence`` show which operators run; ``claims`` says which of them a resource belongs to.
``inventory`` and ``inventory_hints`` write down which kinds were applied for a resource, on the resource or, if it is
no Kubernetes object, in ConfigMaps (``config_maps``); ``job_runs`` remembers Jobs that have completed. ``releasing``
removes our labels, annotations and finalizer again, and ``cleanup`` does so for operators that are gone.
"""
