"""Track the objects that belong to resources, by their metadata.

``tracked_objects`` reads what the metadata of an object says; ``children`` watches them, one watch for each kind;
``index`` finds them by owner. ``expiry`` knows objects that delete themselves when they have completed.
"""
