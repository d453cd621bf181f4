"""Report on resources.

``readiness`` judges an object by its status, and ``binding`` a claim that waits for its first consumer. ``status``
makes a resource's status of a report, ``status_writer`` writes as much of it as fits, and ``events`` writes Events;
``reporter`` calls them for each report.
"""
