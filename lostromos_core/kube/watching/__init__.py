"""Watch a collection, and cache its resources.

``watch`` is the state machine, which counts its failures in a ``tally``; ``reflector`` decodes lines and pages and
calls the event handler. ``cache_sync`` waits for the first list. ``resource_cache`` and ``store`` keep the resources
of a watcher; ``selection`` and ``selectors`` define how they are selected. ``watch_timings`` holds the timeouts and
delays of a watch.
"""
