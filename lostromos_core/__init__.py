"""Run Lostrómos, a templating operator for Kubernetes, or build an operator from its parts.

from lostromos_core import Controller, JinjaRenderer, KubernetesWatcher, Operator
from lostromos_kubectl import ServerSideApplier

watch = KubernetesWatcher(group="example.com", version="v1", kind="WebApp")
Operator([Controller("webapp", watch=watch, render=JinjaRenderer("templates/"), apply=ServerSideApplier())]).run()

The packages and modules, in the order in which data passes through them:

- ``cli`` is the command ``lostromos``.
- ``configuration`` reads lostromos.yaml; ``plugins`` finds the plug-ins, which implement ``hookspecs`` and provide
  ``backends``; ``hook_guards`` calls them. ``builtin`` is our own plug-in.
- ``engine`` runs controllers, under an ``identity``.
- ``interfaces`` are the contracts of watchers, renderers and appliers, and ``errors`` the exceptions they raise.
- ``kube`` talks to the Kubernetes API, and ``templates`` renders Jinja2 and YAML.
- ``process`` runs programs; ``deprecations`` warns about names of an earlier version; ``firstlook`` and
  ``complaints`` remember what has been reconciled and logged.
"""

from lostromos_core import deprecations
from lostromos_core.backends import Backend, Options
from lostromos_core.engine.controller import Controller
from lostromos_core.engine.operator import Operator
from lostromos_core.errors import ApiError, ConfigError, LostromosError, RefusedError, RenderError
from lostromos_core.hookspecs import hookimpl
from lostromos_core.interfaces import (
    Applied,
    Applier,
    Context,
    EventSink,
    Manifest,
    Manifests,
    ObjectRef,
    Renderer,
    Report,
    Resource,
    Unit,
    Watcher,
)
from lostromos_core.kube.watcher import KubernetesWatcher
from lostromos_core.templates.renderer import JinjaRenderer
from lostromos_core.templates.values_renderer import ValuesRenderer

__all__ = [
    "ApiError",
    "Applied",
    "Applier",
    "Backend",
    "ConfigError",
    "Context",
    "Controller",
    "EventSink",
    "JinjaRenderer",
    "KubernetesWatcher",
    "LostromosError",
    "Manifest",
    "Manifests",
    "ObjectRef",
    "Operator",
    "Options",
    "RefusedError",
    "RenderError",
    "Renderer",
    "Report",
    "Resource",
    "Unit",
    "ValuesRenderer",
    "Watcher",
    "hookimpl",
]


def __getattr__(name: str) -> type[EventSink]:
    """Return a class by the name that it had in version 0.1."""
    if name == "Doorbell":
        deprecations.warn("lostromos_core.Doorbell", "called EventSink")
        return EventSink
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
