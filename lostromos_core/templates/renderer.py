"""Render a folder of templates into Kubernetes objects.

A file is a unit: one or more YAML documents that belong together. Files whose name begins with ``_`` are partials,
meant to be included or imported. Templates see ``resource`` (what its author wrote), ``vars`` (the operator's own
variables) and nothing else.
"""

from __future__ import annotations

import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any, final

from lostromos_core import errors, interfaces
from lostromos_core.templates import cycles, library, manifests
from lostromos_core.templates.data import budget, turns
from lostromos_core.templates.sandbox import emission, looked_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import jinja2

    from lostromos_core.templates.slots import slots


@final
class JinjaRenderer:
    """Render the templates of a folder, file by file in the order of their names.

    ``status`` names a template of the folder that makes fields of the resource's status, in addition to the operator's
    own. ``filters``, ``tests`` and ``functions`` are added to those of Jinja2, Lostrómos and plug-ins. Raises
    ConfigError at ``load`` if the folder is missing or empty, or if a template has a syntax error.
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
        """Read and compile all templates, with extensions from plug-ins in addition to the renderer's own filters."""
        self._library = library.Library(self._folder, (filters or {}, tests or {}, functions or {}), self._own)
        names = self._library.names
        compiled = self._library.compile_all()
        self._units = [compiled[name] for name in names if not self._is_partial(name)]
        if self._status_name and self._status_name not in compiled:
            msg = f"templates: the folder {self._folder} has no {self._status_name}, which `status` names"
            raise errors.ConfigError(msg)
        if not self._units:
            msg = f"templates: the folder {self._folder} has no template; add a file such as configmap.yaml"
            raise errors.ConfigError(msg)

    def render(self, resource: interfaces.Resource, context: interfaces.Context) -> interfaces.Manifests:
        """Return all objects that the templates make for this resource; raises RenderError with the place."""
        if self._units is None:
            self.load()
        names = {"resource": library.author_view(resource), "vars": context.vars}
        blocked: list[cycles.Blocked] = []
        read = looked_up.Reading(context.lookup, resource.ref.namespace)
        with budget.rendering(), looked_up.reading(read) as reading:
            units = self._render_units(names, blocked)
            status = self._library.fill_status(self._status_name, names)
        manifests.refuse_twins(units)
        stuck = cycles.find(blocked, resource.ref.namespace) if blocked else {}
        if stuck:
            units = tuple(
                dataclasses.replace(unit, waiting=stuck[unit.name], stuck=True) if unit.name in stuck else unit
                for unit in units
            )
        return interfaces.Manifests(units, frozenset(reading.reads), status)

    async def render_in_turns(self, resource: interfaces.Resource, context: interfaces.Context) -> interfaces.Manifests:
        """Render like ``render``, without blocking the event loop for long."""
        return await turns.render(self.render, resource, context)

    def _is_partial(self, name: str) -> bool:
        return self._library.is_partial(name) or name == self._status_name

    def _render_units(self, names: dict[str, Any], blocked: list[cycles.Blocked]) -> tuple[interfaces.Unit, ...]:
        """Render all files; raises a RenderError that names each file that fails."""
        units, failed = list[interfaces.Unit](), list[errors.RenderError]()
        for template in self._units or ():
            try:
                units.append(self._render_unit(template, names, blocked))
            except errors.RenderError as error:
                failed.append(error)
                if budget.now().exhausted:
                    break
        if failed:
            try:
                raise failed[0] if len(failed) == 1 else errors.RenderError.of_all(failed)
            finally:
                failed.clear()  # a cycle through the traceback would keep all rendered data alive
        return tuple(units)

    def _render_unit(
        self, template: jinja2.Template, names: dict[str, Any], blocked: list[cycles.Blocked]
    ) -> interfaces.Unit:
        name = template.name or ""
        try:
            documents = self._library.fill(template, names, emission.collect)
        except errors.NotYetError as error:
            if isinstance(error.of, interfaces.ObjectRef):
                blocked.append(cycles.Blocked(name, error.of, self._guess(template, names)))
            return interfaces.Unit(name, waiting=error.message)
        except Exception as error:
            raise self._library.explain(error, name) from error
        return interfaces.Unit(name, tuple(self._manifests(documents, self._library.name_file(name))))

    def _manifests(self, documents: list[slots.Document], file: str) -> Iterator[interfaces.Manifest]:
        for document in documents:
            yield from manifests.of(document, file, self._library.words)

    def _guess(self, template: jinja2.Template, names: dict[str, Any]) -> set[cycles.Identity]:
        """Return the objects that a waiting unit would make, as far as they can be known."""
        namespace = names["resource"]["metadata"].get("namespace") or ""
        try:
            documents = self._library.fill(template, names, emission.guess)
            made = list(self._manifests(documents, ""))
        except Exception:  # noqa: BLE001 - a guess may fail in any way
            return set()
        return {cycles.identity(manifest.ref, namespace) for manifest in made}
