"""JinjaRenderer: a folder of templates in, Kubernetes objects out.

A file is a unit: one or more YAML documents that belong together. Files whose name begins with ``_`` are partials,
to be included or imported. Templates see ``resource`` (what its author wrote), ``vars`` (the operator's own
variables) and nothing else.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

from lostromos_core import errors, interfaces
from lostromos_core.templates import budget, cycles, library, live, program, sandbox, slots, turns, values

if TYPE_CHECKING:
    from collections.abc import Callable

    import jinja2


@final
class JinjaRenderer:
    """Renders the templates of a folder, file by file in the order of their names.

    ``status`` names a template of the folder that makes fields of the resource's status, beside the operator's own.
    ``filters``, ``tests`` and ``functions`` are added to those of Jinja2, of Lostrómos and of plug-ins.
    Raises ConfigError at ``load`` if the folder is missing or empty, or a template has a syntax error.
    """

    produces = interfaces.Manifests

    def __init__(
        self,
        templates: str | pathlib.Path,
        *,
        status: str = "",
        filters: Mapping[str, Callable[..., Any]] | None = None,
        tests: Mapping[str, Callable[..., Any]] | None = None,
        functions: Mapping[str, Any] | None = None,
    ) -> None:
        self._folder = pathlib.Path(templates)
        self._own = (filters or {}, tests or {}, functions or {})
        self._units: list[jinja2.Template] | None = None
        self._status_name = status

    async def start(self, runtime: interfaces.Runtime) -> None:
        """Compile all templates, with the filters, tests and functions of plug-ins; raises ConfigError."""
        self.load(filters=runtime.filters, tests=runtime.tests, functions=runtime.functions)

    def load(
        self,
        *,
        filters: Mapping[str, Callable[..., Any]] | None = None,
        tests: Mapping[str, Callable[..., Any]] | None = None,
        functions: Mapping[str, Any] | None = None,
    ) -> None:
        """Read and compile all templates, with what plug-ins bring beside the renderer's own filters."""
        self._library = library.Library(self._folder, (filters or {}, tests or {}, functions or {}), self._own)
        names = self._library.names
        compiled = self._library.compile_all()
        self._units = [compiled[name] for name in names if not self._is_partial(name)]
        if self._status_name and self._status_name not in compiled:
            msg = f"templates: the folder {self._folder} holds no {self._status_name}, which `status` names"
            raise errors.ConfigError(msg)
        if not self._units:
            msg = f"templates: the folder {self._folder} holds no template; add a file such as configmap.yaml"
            raise errors.ConfigError(msg)

    def render(self, resource: interfaces.Resource, context: interfaces.Context) -> interfaces.Manifests:
        """All objects that the templates make of this resource; raises RenderError with the place."""
        if self._units is None:
            self.load()
        names = {"resource": library.author_view(resource), "vars": context.vars}
        blocked: list[cycles.Blocked] = []
        read = live.Reading(context.lookup, resource.ref.namespace)
        with budget.rendering(), live.reading(read) as reading:
            units = tuple(self._render_unit(template, names, blocked) for template in self._units or ())
            status = self._library.fill_status(self._status_name, names)
        _refuse_twins(units)
        stuck = cycles.find(blocked, resource.ref.namespace) if blocked else {}
        if stuck:
            units = tuple(
                dataclasses.replace(unit, waiting=stuck[unit.name], stuck=True) if unit.name in stuck else unit
                for unit in units
            )
        return interfaces.Manifests(units, frozenset(reading.reads), status)

    async def render_in_turns(self, resource: interfaces.Resource, context: interfaces.Context) -> interfaces.Manifests:
        """As ``render``, without taking the event loop for long."""
        return await turns.render(self.render, resource, context)

    def _is_partial(self, name: str) -> bool:
        return self._library.is_partial(name) or name == self._status_name

    def _render_unit(
        self, template: jinja2.Template, names: dict[str, Any], blocked: list[cycles.Blocked]
    ) -> interfaces.Unit:
        name = template.name or ""
        try:
            documents = self._library.fill(template, names, sandbox.collect)
        except errors.NotYetError as error:
            if isinstance(error.of, interfaces.ObjectRef):
                blocked.append(cycles.Blocked(name, error.of, self._guess(template, names)))
            return interfaces.Unit(name, waiting=error.message)
        except Exception as error:
            raise self._library.explain(error, name) from error
        return interfaces.Unit(
            name, tuple(_manifest(document, self._library.name_file(name)) for document in documents)
        )

    def _guess(self, template: jinja2.Template, names: dict[str, Any]) -> set[cycles.Identity]:
        """Which objects a unit that has to wait would make, as far as that can be known."""
        namespace = names["resource"]["metadata"].get("namespace") or ""
        try:
            documents = self._library.fill(template, names, sandbox.guess)
            made = [_manifest(document, "") for document in documents]
        except Exception:  # noqa: BLE001 - what cannot be guessed is not known
            return set()
        return {cycles.identity(manifest.ref, namespace) for manifest in made}


def _manifest(document: slots.Document, file: str) -> interfaces.Manifest:
    """A document as a manifest; raises RenderError if it is no Kubernetes object."""
    data, node = document.data, program.unfixed(document.node)
    if not isinstance(node, program.Fields):
        raise _no_object(
            document,
            (),
            f"a document must be a mapping written in the template, and this is {_what(data, node)}",
            file,
        )
    for key in ("apiVersion", "kind"):
        written = node.child(key)
        if not isinstance(written, program.Constant) or not isinstance(written.value, str) or not written.value:
            raise _no_object(
                document, (key,), f"{key} must be written in the template, not made by an expression", file
            )
    if data["kind"].endswith("List") and "items" in data:
        raise _no_object(document, (), "lists of objects are not supported; write each as a document of its own", file)
    metadata = data.get("metadata")
    if not isinstance(metadata, Mapping):
        raise _no_object(document, ("metadata",), "metadata must be a mapping with a name", file)
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        hint = "; put the expression in quotes" if isinstance(name, int | float) else ""
        found = "empty" if name == "" else "missing" if name is None else values.kind_of(name)
        raise _no_object(
            document, ("metadata", "name"), f"metadata.name must be a string, and this is {found}{hint}", file
        )
    if not isinstance(metadata.get("namespace", ""), str):
        raise _no_object(document, ("metadata", "namespace"), "metadata.namespace must be a string", file)
    for marks in ("labels", "annotations"):
        pairs = metadata.get(marks)
        if isinstance(pairs, Mapping) and any(key.startswith(interfaces.CONTROL_PREFIXES) for key in pairs):
            _refuse_control(document, marks, file)
    return interfaces.Manifest(data, document)


def _refuse_control(document: slots.Document, marks: str, file: str) -> None:
    """Raise RenderError for control words that a value brings: they are the author's of the template."""
    node: program.Node | None = document.node
    for name in ("metadata", marks):
        node = program.unfixed(node) if node is not None else None
        node = node.child(name) if isinstance(node, program.Fields) else None
    fields = program.unfixed(node) if node is not None else None
    written = (
        {key.value for key, _ in fields.pairs if isinstance(key, program.Constant)}
        if isinstance(fields, program.Fields)
        else set()
    )
    for key in document.data["metadata"][marks]:
        if key.startswith(interfaces.CONTROL_PREFIXES) and key not in written:
            prefix = next(one for one in interfaces.CONTROL_PREFIXES if key.startswith(one))
            msg = (
                f"metadata.{marks}: a value brings a key that begins with {prefix}, and such keys tell the "
                "operator what to do; write the key in the template, with an expression as its value, or leave it out "
                "of the data"
            )
            raise _no_object(document, ("metadata", marks), msg, file)


def _what(data: object, node: program.Node) -> str:
    return "an expression" if isinstance(node, program.Typed) else values.kind_of(data)


def _no_object(document: slots.Document, path: interfaces.Path, message: str, file: str) -> errors.RenderError:
    return errors.RenderError(message, place=str(document.locate(path) or file))


def _refuse_twins(units: tuple[interfaces.Unit, ...]) -> None:
    """Two manifests for one object would fight for ever."""
    seen: dict[tuple[str, ...], interfaces.Manifest] = {}
    for manifest in (manifest for unit in units for manifest in unit.manifests):
        ref = manifest.ref
        if ref.key in seen:
            first = seen[ref.key].locate()
            msg = f"{ref} is made twice, here and at {first}"
            raise errors.RenderError(msg, place=str(manifest.locate() or ""))
        seen[ref.key] = manifest
