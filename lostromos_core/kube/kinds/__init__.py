"""Discover what the cluster serves.

``discovery`` maps a kind to its path; ``removal`` decides whether a kind is really gone; ``program_cache`` keeps what
helm and kubectl know as new. ``schema`` reads a kind's
OpenAPI schema, ``list_keys`` the defaults of list-map keys in it, ``fitting`` reduces a value to what a schema
accepts, and ``placeholders`` builds the smallest value that it accepts.
"""
