"""The hooks that plug-ins implement, with ``lostromos_core.hookimpl``.

A plug-in is a module (or an object) named by an entry point of the group ``lostromos``; the entry point's name is
the plug-in's name. Names that two plug-ins both bring are refused when plug-ins are loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lostromos_core import backends, interfaces

PROJECT = "lostromos"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def lostromos_watchers() -> Mapping[str, backends.Backend]:  # type: ignore[empty-body]
    """Called once at load. Return the watchers that this plug-in brings, by the name used under ``watch:``."""


@hookspec
def lostromos_renderers() -> Mapping[str, backends.Backend]:  # type: ignore[empty-body]
    """Called once at load. Return the renderers that this plug-in brings, by the name used under ``render:``."""


@hookspec
def lostromos_appliers() -> Mapping[str, backends.Backend]:  # type: ignore[empty-body]
    """Called once at load. Return the appliers that this plug-in brings, by the name used under ``apply:``."""


@hookspec
def lostromos_template_filters() -> Mapping[str, Callable[..., Any]]:  # type: ignore[empty-body]
    """Called once at load. Return template filters by name; a filter takes the value first and returns plain data."""


@hookspec
def lostromos_template_tests() -> Mapping[str, Callable[..., bool]]:  # type: ignore[empty-body]
    """Called once at load. Return template tests by name, as in ``{% if x is NAME %}``."""


@hookspec
def lostromos_template_functions() -> Mapping[str, Any]:  # type: ignore[empty-body]
    """Called once at load. Return functions and constants that all templates see, by name."""


@hookspec
def lostromos_review(controller: str, resource: interfaces.Resource, rendered: interfaces.Rendered) -> str | None:
    """Called before each apply, for every plug-in. Return a sentence to forbid it, None to let it pass.

    A forbidden apply is reported on the resource as Stalled with the reason Refused, and tried again when the
    resource changes. An exception forbids as well. What is given are copies: changing them changes nothing.
    """


@hookspec
def lostromos_reconciled(controller: str, key: str, report: interfaces.Report | None, seconds: float) -> None:
    """Called after each reconcile, for metrics and the like. ``report`` is None if the resource is gone.

    An exception is logged and changes nothing.
    """


@hookspec
def lostromos_unreadable(controller: str, key: str, reason: str) -> None:
    """Called when a resource exists that cannot be read, for metrics and alerts. An exception is logged."""
