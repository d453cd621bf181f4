"""Show results in the terminal.

``summary`` shows the result of ``run --once``, ``documents`` writes objects as YAML or JSON, and ``tables`` draws
tables.
"""
