"""Delete objects that templates no longer make, and objects of deleted resources.

``finding`` finds all objects of a resource. ``prune`` decides which are no longer wanted, and how many may be deleted
without consent: its limits, whose defaults are there too, depend on the counts of ``census``. ``pruning`` deletes
them wave by wave, and ``deletion`` deletes one object.
"""
