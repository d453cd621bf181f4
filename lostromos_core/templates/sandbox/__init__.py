"""Run templates in a sandbox.

``sandbox`` is the Jinja2 environment, ``emission`` writes a token in place of each value, ``codegen`` its compiler,
and ``embed`` the tag for embedded documents. ``absent`` stands for what does not exist, ``looked_up`` for looked-up
objects. ``checks`` finds mistakes before anything is rendered, ``advice`` suggests what to write instead, and
``messages`` keeps data out of errors.
"""
