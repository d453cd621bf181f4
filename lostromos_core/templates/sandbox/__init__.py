"""Run templates in a sandbox.

``sandbox`` is the Jinja2 environment, ``codegen`` is its compiler, ``emission`` writes a token in place of each value,
and ``embed`` adds the tags for embedded documents. ``absent`` represents missing values, ``looked_up`` represents
looked-up objects. ``checks`` finds mistakes before rendering, ``advice`` suggests what to write instead, and
``messages`` keeps data out of errors.
"""
