"""Look up objects of the cluster for templates.

``lookups`` decides what a resource may see and remembers what it has seen; ``lookup_cache`` watches these objects.
"""
