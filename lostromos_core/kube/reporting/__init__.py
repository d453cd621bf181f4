"""Report the status of resources.

``readiness`` determines whether an object is ready, and ``binding`` whether a PersistentVolumeClaim waits for its first
consumer. ``status`` builds a resource's status from a report, ``status_writer`` writes as much of it as fits, and
``events`` writes Events; ``reporter`` calls them for each report.
"""
