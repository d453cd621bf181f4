"""Track the objects that belong to resources, by their metadata.

``tracked_objects`` parses the metadata of an object; ``children`` watches them, with one watch for each kind; ``index``
finds them by owner. ``expiry`` detects objects that delete themselves after they finish.
"""
