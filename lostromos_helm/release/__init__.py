"""Plan and make releases.

``planner`` turns a resource and its values (``helm_values``) into the desired release, under a name from ``naming``.
``releases`` watches the Secrets in which Helm stores releases; ``storage`` reads them, ``seals`` proves that they were
not changed, and ``owners`` finds those whose resource is gone. ``steps`` decides what to do, ``holders`` tells whether
an interrupted operation is still running, ``versions`` replaces API versions that are no longer served, and
``commands`` calls Helm.
"""
