"""Register the built-in back ends as the plug-in ``core``, like those of any other plug-in."""

from __future__ import annotations

import re
from typing import Annotated

import pydantic

from lostromos_core import backends, hookspecs
from lostromos_core.kube import watcher
from lostromos_core.kube.watching import selectors
from lostromos_core.templates import renderer, values_renderer

_GROUP = re.compile(r"(?:[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*)?")
_VERSION = re.compile(r"[a-z](?:[-a-z0-9]*[a-z0-9])?")
_KIND = re.compile(r"[A-Za-z](?:[-A-Za-z0-9]*[A-Za-z0-9])?")


def _check_group(text: str) -> str:
    if not _GROUP.fullmatch(text):
        hint = f"; `group` is {text.partition('/')[0]} here, and the rest is `version`" if "/" in text else ""
        raise ValueError(f"{text!r} is not a valid API group (for example: example.com){hint}")
    return text


def _check_version(text: str) -> str:
    if not _VERSION.fullmatch(text):
        group, slash, version = text.rpartition("/")
        hint = f"; put the group into `group`: {{group: {group}, version: {version}}}" if slash else ""
        raise ValueError(f"{text!r} is not a valid API version (for example: v1){hint}")
    return text


def _check_kind(text: str) -> str:
    if not _KIND.fullmatch(text):
        raise ValueError(f"{text!r} is not a valid kind (for example: WebApp)")
    return text


class KubernetesOptions(backends.Options):
    """Watch one kind of the Kubernetes API."""

    group: Annotated[str, pydantic.AfterValidator(_check_group)] = pydantic.Field(
        default="", description="The API group; empty for the core group."
    )
    version: Annotated[str, pydantic.AfterValidator(_check_version)]
    kind: Annotated[str, pydantic.AfterValidator(_check_kind)]
    namespaces: Annotated[tuple[str, ...], pydantic.AfterValidator(selectors.check_namespaces)] = pydantic.Field(
        default=(), description="Only these namespaces; none means all."
    )
    labels: Annotated[str, pydantic.AfterValidator(selectors.check_labels)] = pydantic.Field(
        default="", description="A label selector, such as tier=web."
    )
    annotation: Annotated[str, pydantic.AfterValidator(selectors.check_annotation)] = pydantic.Field(
        default="", description="Only objects with this annotation: key, or key=value."
    )


class JinjaOptions(backends.Options):
    """Render the templates of a folder."""

    templates: backends.RelativePath = pydantic.Field(description="The folder, relative to the configuration file.")
    status: str = pydantic.Field(
        default="", description="A template of the folder that makes fields of the resource's status."
    )


def _jinja(options: JinjaOptions) -> renderer.JinjaRenderer:
    backends.expect(options.templates, "folder", field="templates")
    return renderer.JinjaRenderer(**dict(options))


def _values(options: backends.ValuesOptions) -> values_renderer.ValuesRenderer:
    if options.template is not None:
        backends.expect(options.template, "file", field="template")
    return values_renderer.ValuesRenderer(**options.keywords())


@hookspecs.hookimpl
def lostromos_watchers() -> dict[str, backends.Backend]:
    """Return ``kubernetes``."""
    return {
        "kubernetes": backends.Backend(
            KubernetesOptions, lambda options: watcher.KubernetesWatcher(**options.keywords())
        )
    }


@hookspecs.hookimpl
def lostromos_renderers() -> dict[str, backends.Backend]:
    """Return ``jinja`` and ``values``."""
    return {
        "jinja": backends.Backend(JinjaOptions, _jinja),
        "values": backends.Backend(backends.ValuesOptions, _values),
    }
