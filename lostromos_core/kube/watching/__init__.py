"""Watch a collection, and keep what the watch brings.

``watch`` is the state machine, which counts its failures in a ``tally``; ``reflector`` decodes lines and pages and
calls the event handler. ``cache_sync`` waits for the first list. ``resource_cache`` and ``store`` keep the resources
of a watcher; ``selection`` and ``selectors`` know what they are selected by. ``watch_timings`` are the pauses of a
watch.
"""
