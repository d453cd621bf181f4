"""Watch a collection, and keep what the watch brings.

``watch`` is the state machine, which counts its failures in a ``tally``; ``reflector`` decodes lines and pages and
calls the event handler. ``cache_sync`` waits for the first list. ``store`` keeps the resources of a watcher;
``selectors`` checks what they are selected by.
"""
