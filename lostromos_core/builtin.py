"""The plug-in ``core``: what Lostrómos brings itself, registered like any other plug-in's."""

from __future__ import annotations

import pathlib
from typing import Annotated

import pydantic

from lostromos_core import hookspecs, plugins
from lostromos_core.kube import watcher
from lostromos_core.templates import renderer


class KubernetesOptions(plugins.Options):
    """Watch one kind of the Kubernetes API."""

    group: str = pydantic.Field(default="", description="The API group; empty for the core group.")
    version: str
    kind: str
    namespaces: tuple[str, ...] = pydantic.Field(default=(), description="Only these namespaces; none means all.")
    labels: str = pydantic.Field(default="", description="A label selector, such as tier=web.")
    annotation: str = pydantic.Field(default="", description="Only objects with this annotation: key, or key=value.")


class JinjaOptions(plugins.Options):
    """Render the templates of a folder."""

    templates: Annotated[pathlib.Path, pydantic.AfterValidator(plugins.relative)] = pydantic.Field(
        description="The folder, relative to the configuration file."
    )


@hookspecs.hookimpl
def lostromos_watchers() -> dict[str, plugins.Backend]:
    """``kubernetes``."""
    return {
        "kubernetes": plugins.Backend(KubernetesOptions, lambda options: watcher.KubernetesWatcher(**options.model_dump()))
    }


@hookspecs.hookimpl
def lostromos_renderers() -> dict[str, plugins.Backend]:
    """``jinja``."""
    return {"jinja": plugins.Backend(JinjaOptions, lambda options: renderer.JinjaRenderer(options.templates))}
