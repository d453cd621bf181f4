"""The plug-in ``core``: what Lostrómos brings itself, registered like any other plug-in's."""

from __future__ import annotations

import pathlib  # noqa: TC003 - pydantic needs it at run time
from typing import Annotated

import pydantic

from lostromos_core import backends, hookspecs
from lostromos_core.kube import watcher
from lostromos_core.templates import renderer, tree


class KubernetesOptions(backends.Options):
    """Watch one kind of the Kubernetes API."""

    group: str = pydantic.Field(default="", description="The API group; empty for the core group.")
    version: str
    kind: str
    namespaces: tuple[str, ...] = pydantic.Field(default=(), description="Only these namespaces; none means all.")
    labels: str = pydantic.Field(default="", description="A label selector, such as tier=web.")
    annotation: str = pydantic.Field(default="", description="Only objects with this annotation: key, or key=value.")


class JinjaOptions(backends.Options):
    """Render the templates of a folder."""

    templates: Annotated[pathlib.Path, pydantic.AfterValidator(backends.relative)] = pydantic.Field(
        description="The folder, relative to the configuration file."
    )
    status: str = pydantic.Field(
        default="", description="A template of the folder that makes fields of the resource's status."
    )


@hookspecs.hookimpl
def lostromos_watchers() -> dict[str, backends.Backend]:
    """``kubernetes``."""
    return {
        "kubernetes": backends.Backend(
            KubernetesOptions, lambda options: watcher.KubernetesWatcher(**options.model_dump())
        )
    }


@hookspecs.hookimpl
def lostromos_renderers() -> dict[str, backends.Backend]:
    """``jinja`` and ``values``."""
    return {
        "jinja": backends.Backend(JinjaOptions, lambda options: renderer.JinjaRenderer(**dict(options))),
        "values": backends.Backend(backends.ValuesOptions, lambda options: tree.ValuesRenderer(**options.keywords())),
    }
