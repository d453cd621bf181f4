"""The plug-in ``helm``: brings nothing yet; the applier ``helm`` will register here."""

from __future__ import annotations

from lostromos_core import Backend, hookimpl


@hookimpl
def lostromos_appliers() -> dict[str, Backend]:
    """None so far."""
    return {}
