"""Delete objects: those that templates no longer make, and those of deleted resources.

``finding`` finds all objects of a resource. ``prune`` decides which are no longer wanted, within the limits for which
``census`` counts. ``pruning`` deletes them wave by wave, and ``deletion`` deletes one object.
"""
