"""Build the desired objects of a resource, and track their state.

``desired_objects`` builds the object to send from a rendered manifest, with its owner references (``references``).
``memory`` remembers what was applied, ``object_readiness`` finds the objects that are not ready, and ``expiring`` the
Jobs that completed and deleted themselves. ``needs`` finds what an object waits for.
"""
