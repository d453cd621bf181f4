"""Lostrómos: a templating operator for Kubernetes, and the framework it is made of.

from lostromos_core import Controller, JinjaRenderer, KubernetesWatcher, Operator
from lostromos_kubectl import ServerSideApplier

watch = KubernetesWatcher(group="example.com", version="v1", kind="WebApp")
Operator([Controller("webapp", watch=watch, render=JinjaRenderer("templates/"), apply=ServerSideApplier())]).run()
"""

from lostromos_core.backends import Backend, Options
from lostromos_core.engine.controller import Controller
from lostromos_core.engine.operator import Operator
from lostromos_core.errors import ApiError, ConfigError, LostromosError, RefusedError, RenderError
from lostromos_core.hookspecs import hookimpl
from lostromos_core.interfaces import (
    Applied,
    Applier,
    Context,
    Doorbell,
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
from lostromos_core.templates.tree import ValuesRenderer

__all__ = [
    "ApiError",
    "Applied",
    "Applier",
    "Backend",
    "ConfigError",
    "Context",
    "Controller",
    "Doorbell",
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
