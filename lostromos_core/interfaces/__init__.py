"""Define the three contracts of Lostrómos, Watcher, Renderer and Applier, and the values that they exchange.

A Watcher finds resources; a Renderer turns a resource into what should exist; an Applier creates it. They do not know
each other: ``reconcile`` passes the values. Every method may be written as ``async def``; the values are frozen, and
the plain data inside of them (``Resource.data``, ``Manifest.data``) must not be modified, since it is shared and not
copied.

``contracts`` has the protocols and their parameters, ``resources`` what a Watcher returns, ``rendered`` what a Renderer
returns, and ``reports`` the results of an Applier.
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
    Stoppable,
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
from lostromos_core.interfaces.resources import (
    Anything,
    Json,
    ObjectRef,
    Path,
    Resource,
    group_of,
    join_key,
    split_key,
    texts,
)

__all__ = [
    "CONTROL_PREFIXES",
    "PROGRESS",
    "RELEASED",
    "Action",
    "Anything",
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
    "Stoppable",
    "Unit",
    "Values",
    "Watcher",
    "group_of",
    "join_key",
    "render",
    "split_key",
    "texts",
]
