"""Render the values of a chart, from a template or directly from the resource."""

from __future__ import annotations

import base64
import contextlib
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

from lostromos_core import errors, interfaces
from lostromos_core.templates import library
from lostromos_core.templates.data import budget, turns
from lostromos_core.templates.sandbox import looked_up

if TYPE_CHECKING:
    from collections.abc import Callable

    Find: TypeAlias = Callable[[interfaces.ObjectRef], Mapping[str, Any] | None]

Layout: TypeAlias = Literal["resource", "spec"]
Merge: TypeAlias = Literal["no", "below", "above"]


@final
class ValuesRenderer:
    """Render the values of a chart.

    ``template`` is a file that makes one mapping; the templates beside it may be included. Without a template,
    ``layout`` selects the values: ``resource`` (``resource.name``, ``resource.namespace`` and ``resource.spec``) or
    ``spec`` (the resource's spec, unchanged). ``vars`` merges the operator's variables ``below`` or ``above`` them.
    ``defaults`` are merged below everything else, ``overrides`` above everything else. ``status`` names a template
    beside ``template`` that makes fields of the resource's status. Raises ConfigError at start.
    """

    produces = interfaces.Values

    def __init__(
        self,
        template: str | pathlib.Path = "",
        *,
        layout: Layout = "resource",
        vars: Merge = "no",  # noqa: A002 - the name that templates use
        defaults: Mapping[str, Any] | None = None,
        overrides: Mapping[str, Any] | None = None,
        status: str = "",
    ) -> None:
        self._path = pathlib.Path(template) if template else None
        self._layout = layout
        self._vars = vars
        self._defaults = defaults or {}
        self._overrides = overrides or {}
        self._status_name = status
        self._library: library.Library | None = None
        if status and not template:
            msg = "values: `status` is a template beside `template`; set that one too"
            raise errors.ConfigError(msg)

    async def start(self, runtime: interfaces.Runtime) -> None:
        """Compile the templates; raises ConfigError."""
        self.load(filters=runtime.filters, tests=runtime.tests, functions=runtime.functions)

    def load(
        self,
        *,
        filters: Mapping[str, Callable[..., Any]] | None = None,
        tests: Mapping[str, Callable[..., Any]] | None = None,
        functions: Mapping[str, Any] | None = None,
    ) -> None:
        """Read and compile the templates, with extensions from plug-ins."""
        if self._path is None:
            return
        if not self._path.is_file():
            way_out = "create it, or correct the path (relative to the configuration file)"
            msg = f"values: the template {self._path} does not exist; {way_out}"
            raise errors.ConfigError(msg)
        self._library = library.Library(self._path.parent, (filters or {}, tests or {}, functions or {}))
        for name in filter(None, (self._name, self._status_name)):
            if name not in self._library.names:
                msg = f"values: there is no template {name} in {self._path.parent}; its name must end in .yaml"
                raise errors.ConfigError(msg)
            self._library.compile_used(name)

    def render(self, resource: interfaces.Resource, context: interfaces.Context) -> interfaces.Values:
        """Return the values for this resource; raises RenderError with the place."""
        if self._path is not None and self._library is None:
            self.load()
        hidden = set(interfaces.texts(context.vars))
        if self._library is None:
            made, source = self._laid_out(resource)
            with budget.rendering():
                values = self._merged(made, context)
                budget.walk(values, budget.now(), 3)
            return interfaces.Values(values, source=source, hidden=frozenset(hidden))
        names = {"resource": library.author_view(resource), "vars": context.vars}
        read = looked_up.Reading(_noting(context.lookup, hidden), resource.ref.namespace)
        with budget.rendering(), looked_up.reading(read) as reading:
            try:
                document = self._library.fill_mapping(self._library.compile(self._name), names, "the values")
            except errors.NotYetError as error:
                return interfaces.Values({}, frozenset(reading.reads), f"{self._name}: {error.message}", None)
            status = self._library.fill_status(self._status_name, names)
        values = self._merged({} if document is None else document.data, context)
        return interfaces.Values(
            values, frozenset(reading.reads), status=status, source=document, hidden=frozenset(hidden)
        )

    async def render_in_turns(self, resource: interfaces.Resource, context: interfaces.Context) -> interfaces.Values:
        """Render like ``render``, without blocking the event loop for long."""
        return await turns.render(self.render, resource, context)

    @property
    def _name(self) -> str:
        return self._path.name if self._path else ""

    def _laid_out(self, resource: interfaces.Resource) -> tuple[dict[str, Any], interfaces.Source]:
        view = library.author_view(resource)
        spec = view.get("spec")
        if spec is not None and not isinstance(spec, dict):
            msg = f"values: spec of {resource.ref} must be a mapping"
            raise errors.RenderError(msg)
        if self._layout == "spec":
            return dict(spec or {}), _Fields(("resource", "spec"))
        ref = resource.ref
        return {"resource": {"name": ref.name, "namespace": ref.namespace, "spec": spec or {}}}, _Fields(())

    def _merged(self, made: Mapping[str, Any], context: interfaces.Context) -> dict[str, Any]:
        layers = [self._defaults, made, self._overrides]
        if self._vars != "no":
            layers.insert(1 if self._vars == "below" else 2, context.vars)
        merged: dict[str, Any] = {}
        for layer in layers:
            merged = merge(merged, layer)
        return merged


def _noting(find: Find | None, hidden: set[str]) -> Find | None:
    """Return a lookup that also records the texts of the Secrets that it finds."""
    if find is None:
        return None

    def noting(ref: interfaces.ObjectRef) -> Mapping[str, Any] | None:
        item = find(ref)
        if item is not None and ref.kind == "Secret":
            for text in interfaces.texts(item.get("data") or {}):
                hidden.add(text)
                with contextlib.suppress(ValueError):
                    hidden.add(base64.b64decode(text).decode())
        return item

    return noting


@final
class _Fields:
    """Locate values that are fields of the resource: each comes from the field of the same name below a prefix."""

    def __init__(self, prefix: tuple[str, ...]) -> None:
        self._prefix = prefix

    def locate(self, path: interfaces.Path) -> interfaces.Place | None:
        return interfaces.Place("", 0, ".".join(str(step) for step in (*self._prefix, *path)))


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two trees as Helm merges values: mappings are merged, everything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(under, value)
        else:
            merged[key] = value
    return merged
