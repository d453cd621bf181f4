"""Know the desired objects of a resource, and what has become of them.

``desired_objects`` makes the object that is sent from a rendered manifest, with its owner references
(``references``). ``memory`` remembers what was applied, ``object_readiness`` which objects are not ready, and
``expiring`` which Jobs have completed and deleted themselves. ``needs`` finds what an object waits for.
"""
