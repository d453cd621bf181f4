"""Provide the filters and tests of templates.

``filters`` are our own, ``familiar`` those known from Ansible and Helm; ``digests`` hash, ``parsing`` reads YAML and
JSON, ``regex`` matches in linear time, and ``costs`` charges what filters, tests and operators cost.
``operator_costs`` does so for operators, and ``regex_tests`` tests characters for ``regex``.
"""
