"""Define the hooks that plug-ins implement, with ``lostromos_core.hookimpl``.

A plug-in is a module (or an object) named by an entry point of the group ``lostromos``; the entry point's name is the
plug-in's name. A name that two plug-ins provide is refused when plug-ins are loaded.
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
    """Called once at load. Return the watchers that this plug-in provides, by the name used under ``watch:``."""


@hookspec
def lostromos_renderers() -> Mapping[str, backends.Backend]:  # type: ignore[empty-body]
    """Called once at load. Return the renderers that this plug-in provides, by the name used under ``render:``."""


@hookspec
def lostromos_appliers() -> Mapping[str, backends.Backend]:  # type: ignore[empty-body]
    """Called once at load. Return the appliers that this plug-in provides, by the name used under ``apply:``."""


@hookspec
def lostromos_template_filters() -> Mapping[str, Callable[..., Any]]:  # type: ignore[empty-body]
    """Called once at load. Return template filters by name; a filter takes the value first and returns plain data."""


@hookspec
def lostromos_template_tests() -> Mapping[str, Callable[..., bool]]:  # type: ignore[empty-body]
    """Called once at load. Return template tests by name, as in ``{% if x is NAME %}``."""


@hookspec
def lostromos_template_functions() -> Mapping[str, Any]:  # type: ignore[empty-body]
    """Called once at load. Return functions and constants that all templates can use, by name."""


@hookspec
def lostromos_review(controller: str, resource: interfaces.Resource, rendered: interfaces.Rendered) -> str | None:
    """Called before each apply, for every plug-in. Return a sentence to forbid it, None to allow it.

    A forbidden apply is reported on the resource as Stalled with the reason Refused, and retried slowly, and when it
    changes. An exception forbids as well. The arguments are copies: changing them has no effect.
    """


@hookspec
def lostromos_reconciled(controller: str, key: str, report: interfaces.Report | None, seconds: float) -> None:
    """Called after each reconcile, for metrics and similar uses.

    ``report`` is None if there is nothing to report: the resource is gone, was released, or is not known yet. An
    exception is logged and has no other effect.
    """


@hookspec
def lostromos_unreadable(controller: str, key: str, reason: str) -> None:
    """Called when a resource cannot be read, for metrics and alerts. An exception is logged."""
