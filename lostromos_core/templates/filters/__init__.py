"""Provide the filters and tests of templates.

``filters`` are our own, ``familiar`` are known from Ansible and Helm. ``digests`` computes hashes, ``parsing`` reads
YAML and JSON, and ``regex`` matches in linear time, with ``regex_tests`` to test characters. ``costs`` charges for
filters, tests and methods, ``operator_costs`` charges for operators.

A new filter is a function and an entry in ``FILTERS`` of its module, a price in ``costs.COSTS``, and a row in
docs/reference/templates.md.
"""
