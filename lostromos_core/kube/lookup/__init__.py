"""Look up objects of the cluster for templates.

``lookups`` decides which objects a resource may see and tracks those it has read; ``lookup_cache`` watches them.
"""
