"""Learn what the cluster serves.

``discovery`` maps a kind to its path; ``removal`` decides whether a kind is really gone. ``schema`` reads a kind's
OpenAPI schema, ``list_keys`` the defaults of list-map keys in it, ``fitting`` cuts a value down to what a schema
accepts, and ``placeholders`` makes the smallest value that it accepts.
"""
