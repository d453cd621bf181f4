"""The three contracts of Lostrómos, Watcher, Renderer and Applier, and the values that cross them.

A Watcher knows where resources come from; a Renderer turns one into what should exist; an Applier makes it so. They
never see each other: ``reconcile`` carries the values. Every method may be written as ``async def``; the values are
frozen, and the plain data inside of them (``Resource.data``, ``Manifest.data``) is read-only by agreement, since it
is shared and not copied.

``contracts`` has the protocols and what they are given, ``resources`` what a Watcher brings, ``rendered`` what a
Renderer makes of it, and ``reports`` what an Applier did.
"""

from lostromos_core.interfaces.contracts import (
    Applier,
    Context,
    DryRunning,
    EventSink,
    Knowing,
    Renderer,
    Runtime,
    Startable,
    Watcher,
    render,
)
from lostromos_core.interfaces.rendered import (
    CONTROL_PREFIXES,
    Manifest,
    Manifests,
    Place,
    Rendered,
    Source,
    Unit,
    Values,
)
from lostromos_core.interfaces.reports import PROGRESS, RELEASED, Action, Applied, ObjectResult, Outcome, Report
from lostromos_core.interfaces.resources import Json, ObjectRef, Path, Resource, texts

__all__ = [
    "CONTROL_PREFIXES",
    "PROGRESS",
    "RELEASED",
    "Action",
    "Applied",
    "Applier",
    "Context",
    "DryRunning",
    "EventSink",
    "Json",
    "Knowing",
    "Manifest",
    "Manifests",
    "ObjectRef",
    "ObjectResult",
    "Outcome",
    "Path",
    "Place",
    "Rendered",
    "Renderer",
    "Report",
    "Resource",
    "Runtime",
    "Source",
    "Startable",
    "Unit",
    "Values",
    "Watcher",
    "render",
    "texts",
]
