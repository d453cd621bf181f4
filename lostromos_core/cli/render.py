"""Implement ``lostromos render``: show what would be applied for a resource, without a cluster."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import json
import pathlib
import sys
from typing import TYPE_CHECKING, Any

import click

from lostromos_core import errors, interfaces
from lostromos_core.cli import options
from lostromos_core.cli.output import documents
from lostromos_core.configuration import yamlfile
from lostromos_core.engine import variables
from lostromos_core.kube.lookup import lookups

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lostromos_core.engine import bootstrap


@click.command(
    "render",
    short_help="Show what would be applied, offline.",
    epilog="\b\nExample:\n  kubectl get page hello -o yaml | lostromos render -f -\n",
)
@options.configuration
@options.plugin_choice
@click.option("--controller", "name", default="", help="Which controller; needed if several fit the resource.")
@click.option(
    "-f",
    "--file",
    "files",
    type=click.Path(path_type=pathlib.Path),
    multiple=True,
    required=True,
    help="A file with one or more resources, YAML or JSON; - for standard input. May be repeated.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="How to print the objects: a stream of documents, or one list.",
)
@click.option(
    "--objects",
    type=click.Path(path_type=pathlib.Path, exists=True, dir_okay=False),
    help="A file with objects of the cluster, YAML or JSON: what `lookup` and `varsFrom` see.",
)
def command(
    *,
    config_file: pathlib.Path,
    disabled: tuple[str, ...],
    name: str,
    files: tuple[pathlib.Path, ...],
    output: str,
    objects: pathlib.Path | None,
) -> int:
    """Render resources offline, and print the objects. Exits with 1 and the place if a template fails.

    Files are rendered as written: only the cluster sets the defaults of the kind's definition.
    """
    setup = options.load(config_file, disabled)
    setup.check()
    there = list(_documents(objects)) if objects else []
    seen = variables.from_objects(there)
    context = interfaces.Context(vars=asyncio.run(variables.gather(setup.settings, setup.document, seen)))
    rendered: list[Any] = []
    for path in files:
        resources = [_resource(data, path) for data in _documents(path)]
        if not resources:
            raise click.UsageError(f"{path}: contains no resource")
        for resource in resources:
            rendered += _render(setup, name, resource, context, there)
    _print(rendered, output)
    return 0


def _render(
    setup: bootstrap.Setup,
    name: str,
    resource: interfaces.Resource,
    context: interfaces.Context,
    objects: Sequence[Any],
) -> Sequence[Any]:
    index = _choose(setup, name, resource)
    policy = lookups.Policy(**dict(setup.settings.controllers[index].lookup))
    context = dataclasses.replace(context, lookup=lookups.among(objects, resource, policy))
    renderer = setup.part(index, "render")
    runtime = interfaces.Runtime(
        controller=setup.settings.controllers[index].name,
        kube=None,
        filters=setup.registry.filters,
        tests=setup.registry.tests,
        functions=setup.registry.functions,
    )
    result = asyncio.run(_render_with(renderer, runtime, resource, context))
    if isinstance(result, interfaces.Values):
        if result.waiting:
            click.echo(f"waits: {result.waiting}", err=True)
        return [result.values]
    for unit in result.units:
        if unit.waiting:
            click.echo(f"{unit.name}: waits: {unit.waiting}", err=True)
    return [manifest.data for manifest in result.objects]


async def _render_with(
    renderer: interfaces.Anything,
    runtime: interfaces.Runtime,
    resource: interfaces.Resource,
    context: interfaces.Context,
) -> interfaces.Rendered:
    if isinstance(renderer, interfaces.Startable):
        await renderer.start(runtime)
    made = renderer.render(resource, context)
    rendered: interfaces.Rendered = await made if inspect.isawaitable(made) else made
    return rendered


def _choose(setup: bootstrap.Setup, name: str, resource: interfaces.Resource) -> int:
    """Return the index of the controller to render with: the named one, or the only one that watches the kind."""
    controllers = setup.settings.controllers
    names = [controller.name for controller in controllers]
    if name:
        if name not in names:
            there = f"available: {', '.join(names)}"
            msg = f"there is no controller {name!r} in the configuration ({there}){errors.nearest(name, names)}"
            raise click.UsageError(msg)
        return names.index(name)
    fitting = [index for index, controller in enumerate(controllers) if _watches(controller.watch, resource)]
    if len(fitting) == 1:
        return fitting[0]
    what = f"{resource.ref.kind} of {resource.ref.api_version}"
    many = f"{len(fitting)} controllers watch" if fitting else "no controller watches"
    msg = f"{many} {what}; choose one with --controller (available: {', '.join(names)})"
    raise click.UsageError(msg)


def _watches(choice: interfaces.Anything, resource: interfaces.Resource) -> bool:
    given = choice.get("kubernetes") or {}
    group, _, version = resource.ref.api_version.rpartition("/")
    return (given.get("group", ""), given.get("version"), given.get("kind")) == (group, version, resource.ref.kind)


def _documents(path: pathlib.Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a YAML or JSON file; Lists are expanded."""
    try:
        found = yamlfile.load(sys.stdin.read() if str(path) == "-" else yamlfile.read(path))
    except yamlfile.YamlError as error:
        raise click.UsageError(error.at(path)) from error
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{path}: cannot be read: it is not UTF-8") from error
    for document in found:
        if not isinstance(document, dict):
            msg = f"{path}: a document must be an object with apiVersion, kind and metadata"
            raise click.UsageError(msg)
        items = document.get("items")
        if isinstance(items, list):
            for index, item in enumerate(items):
                yield _object(item, f"{path}: items[{index}]")
        else:
            yield _object(document, str(path))


def _object(data: interfaces.Anything, where: str) -> dict[str, Any]:
    """Return an object whose metadata has the form Kubernetes expects; raises UsageError that names ``where``."""
    if not isinstance(data, dict):
        raise click.UsageError(f"{where}: expected an object with apiVersion, kind and metadata")
    metadata = data.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise click.UsageError(f"{where}: metadata must be a mapping")
    for key in ("name", "namespace"):
        if not isinstance(metadata.get(key), str | None):
            raise click.UsageError(f"{where}: metadata.{key} must be a string; write it in quotes")
    for key in ("labels", "annotations"):
        texts = metadata.get(key) or {}
        if not isinstance(texts, dict):
            raise click.UsageError(f"{where}: metadata.{key} must be a mapping of names to strings")
        for name, text in texts.items():
            if not isinstance(text, str):
                raise click.UsageError(f"{where}: metadata.{key}.{name} must be a string; write it in quotes")
    return data


def _resource(data: dict[str, Any], path: pathlib.Path) -> interfaces.Resource:
    metadata = data.get("metadata") or {}
    known = (data.get("apiVersion"), data.get("kind"), metadata.get("name"))
    if not all(isinstance(text, str) and text for text in known):
        msg = f"{path}: a resource needs apiVersion, kind and metadata.name"
        raise click.UsageError(msg)
    namespace = metadata.get("namespace") or ""
    key = f"{namespace}/{metadata['name']}" if namespace else metadata["name"]
    ref = interfaces.ObjectRef(data["apiVersion"], data["kind"], namespace, metadata["name"])
    return interfaces.Resource(key, ref, str(metadata.get("uid", "")), data)


def _print(rendered: Sequence[Any], output: str) -> None:
    if output == "json":
        click.echo(json.dumps(rendered, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        click.echo("---\n".join(documents.to_yaml(item) for item in rendered), nl=False)
