"""Implement the command ``lostromos``: one file per command, each a thin layer over the core.

Exit codes: 0 success, 1 failure at run time, 2 wrong usage, 3 a configuration or plug-in that cannot be used.

``app`` is the entry point. The commands are ``run``, ``render``, ``cleanup``, ``list_plugins``, ``schema`` and
``version``; they share ``options`` and show their results with ``output``. ``logs`` sets up logging, ``memory`` tunes
the process.
"""

from lostromos_core.cli.app import main

__all__ = ["main"]
