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

import jinja2

from lostromos_core import errors, interfaces
from lostromos_core.templates import cycles, embed, live, program, sandbox, slots, values

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Iterator

SUFFIXES = (".yaml", ".yml", ".yaml.j2", ".yml.j2", ".json")
OWN_STATUS = frozenset({"conditions", "observedGeneration", "resources"})
"""Fields of the status that the operator writes itself."""
OWN_PREFIXES = ("applyset.kubernetes.io/", "lostromos.dev/")
"""Labels and annotations that we put on resources: they would feed back."""
_HIDDEN = frozenset({"resourceVersion", "managedFields", "generation", "selfLink", "finalizers"})
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


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
        self._status: jinja2.Template | None = None

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
        environment = sandbox.Environment(jinja2.DictLoader(_read(self._folder)), name_file=self._name_file)
        environment.add_extension(embed.EmbeddedDocument)
        environment.extend_with(filters=filters or {}, tests=tests or {}, functions=functions or {})
        environment.extend_with(filters=self._own[0], tests=self._own[1], functions=self._own[2])
        self._environment = environment
        names = environment.list_templates()
        compiled = {name: self._compile(name) for name in names}
        self._units = [compiled[name] for name in names if not self._is_partial(name)]
        if self._status_name:
            if self._status_name not in compiled:
                msg = f"templates: the folder {self._folder} holds no {self._status_name}, which `status` names"
                raise errors.ConfigError(msg)
            self._status = compiled[self._status_name]
        if not self._units:
            msg = f"templates: the folder {self._folder} holds no template; add a file such as configmap.yaml"
            raise errors.ConfigError(msg)

    def render(self, resource: interfaces.Resource, context: interfaces.Context) -> interfaces.Manifests:
        """All objects that the templates make of this resource; raises RenderError with the place."""
        if self._units is None:
            self.load()
        names = {"resource": _author_view(resource), "vars": context.vars}
        blocked: list[cycles.Blocked] = []
        with live.reading(live.Reading(context.lookup, resource.ref.namespace)) as reading:
            units = tuple(self._render_unit(template, names, blocked) for template in self._units or ())
            status = self._render_status(names) if self._status else {}
        _refuse_twins(units)
        stuck = cycles.find(blocked, resource.ref.namespace) if blocked else {}
        if stuck:
            units = tuple(
                dataclasses.replace(unit, waiting=stuck[unit.name], stuck=True) if unit.name in stuck else unit
                for unit in units
            )
        return interfaces.Manifests(units, frozenset(reading.reads), status)

    def _is_partial(self, name: str) -> bool:
        return pathlib.PurePath(name).name.startswith("_") or name == self._status_name

    def _name_file(self, name: str) -> str:
        return str(self._folder / name)

    def _compile(self, name: str) -> jinja2.Template:
        try:
            return self._environment.get_template(name)
        except jinja2.TemplateSyntaxError as error:
            place = f"{self._name_file(error.name or name)}:{error.lineno}"
            msg = f"{place}: not a valid template: {error.message}"
            raise errors.ConfigError(msg) from error

    def _render_unit(
        self, template: jinja2.Template, names: dict[str, Any], blocked: list[cycles.Blocked]
    ) -> interfaces.Unit:
        name = template.name or ""
        try:
            documents = self._fill(template, names, sandbox.collect)
        except errors.NotYetError as error:
            if isinstance(error.of, interfaces.ObjectRef):
                blocked.append(cycles.Blocked(name, error.of, self._guess(template, names)))
            return interfaces.Unit(name, waiting=error.message)
        except Exception as error:
            raise self._render_error(error, name) from error
        return interfaces.Unit(name, tuple(_manifest(document, self._name_file(name)) for document in documents))

    def _fill(
        self,
        template: jinja2.Template,
        names: dict[str, Any],
        collect: Callable[[Callable[[], str]], tuple[str, list[Any]]],
    ) -> list[slots.Document]:
        text, found = collect(lambda: "".join(template.root_render_func(template.new_context(names))))
        return self._environment.programs.fill(text, found)

    def _guess(self, template: jinja2.Template, names: dict[str, Any]) -> set[cycles.Identity]:
        """Which objects a unit that has to wait would make, as far as that can be known."""
        namespace = names["resource"]["metadata"].get("namespace") or ""
        try:
            documents = self._fill(template, names, sandbox.guess)
            made = [_manifest(document, "") for document in documents]
        except Exception:  # noqa: BLE001 - what cannot be guessed is not known
            return set()
        return {cycles.identity(manifest.ref, namespace) for manifest in made}

    def _render_status(self, names: dict[str, Any]) -> dict[str, Any] | None:
        """The author's own fields of the status; None if they wait for something."""
        assert self._status is not None  # noqa: S101 - the caller has looked
        name = self._status.name or ""
        try:
            documents = self._fill(self._status, names, sandbox.collect)
        except errors.NotYetError:
            return None
        except Exception as error:
            raise self._render_error(error, name) from error
        found = documents[0].data if documents else {}
        if len(documents) > 1 or not isinstance(found, dict):
            msg = "the status must be one mapping"
            raise errors.RenderError(msg, place=self._name_file(name))
        own = [key for key in found if key in OWN_STATUS]
        if own:
            place = str(documents[0].locate((own[0],)) or self._name_file(name))
            msg = f"the status field {own[0]!r} is written by the operator; choose another name"
            raise errors.RenderError(msg, place=place)
        return found

    def _render_error(self, error: Exception, name: str) -> errors.RenderError:
        if isinstance(error, errors.RenderError) and error.place:
            return error
        message = error.message if isinstance(error, errors.RenderError | jinja2.TemplateError) else None
        text = errors.shorten(message or f"{type(error).__name__}: {error}")
        return errors.RenderError(
            text, place=_template_place(error.__traceback__, self._name_file) or self._name_file(name)
        )


def _read(folder: pathlib.Path) -> dict[str, str]:
    if not folder.is_dir():
        what = "is a file, and must be a folder" if folder.exists() else "does not exist"
        way_out = "create it, or correct the path (relative to the configuration file)"
        msg = f"templates: the folder {folder} {what}; {way_out}"
        raise errors.ConfigError(msg)
    sources = {}  # without hidden folders: a volume made of a ConfigMap has every file twice, once in ..data
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and path.name.endswith(SUFFIXES) and not hidden:
            try:
                sources[path.relative_to(folder).as_posix()] = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                msg = f"templates: cannot read {path}: {error}"
                raise errors.ConfigError(msg) from error
    return sources


def _author_view(resource: interfaces.Resource) -> dict[str, Any]:
    """What the resource's author wrote: no status, no bookkeeping, none of our own marks."""
    view = {key: value for key, value in resource.data.items() if key not in {"status", "metadata"}}
    view["metadata"] = {key: value for key, value in resource.metadata.items() if key not in _HIDDEN}
    for marks in ("labels", "annotations"):
        if marks in view["metadata"]:
            view["metadata"][marks] = {
                key: value
                for key, value in (view["metadata"][marks] or {}).items()
                if not key.startswith(OWN_PREFIXES) and key != _LAST_APPLIED
            }
    return view


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
    return interfaces.Manifest(data, document)


def _what(data: object, node: program.Node) -> str:
    return "an expression" if isinstance(node, program.Typed) else values.kind_of(data)


def _no_object(document: slots.Document, path: interfaces.Path, message: str, file: str) -> errors.RenderError:
    return errors.RenderError(message, place=str(document.locate(path) or file))


def _refuse_twins(units: tuple[interfaces.Unit, ...]) -> None:
    """Two manifests for one object would fight for ever."""
    seen: dict[tuple[str, ...], interfaces.Manifest] = {}
    for manifest in (manifest for unit in units for manifest in unit.manifests):
        ref = manifest.ref
        key = (ref.group, ref.kind, ref.namespace, ref.name)
        if key in seen:
            first = seen[key].locate()
            msg = f"{ref} is made twice, here and at {first}"
            raise errors.RenderError(msg, place=str(manifest.locate() or ""))
        seen[key] = manifest


def _template_place(traceback: types.TracebackType | None, name_file: Callable[[str], str]) -> str:
    """The deepest line of a template in a traceback, empty if there is none."""
    place = ""
    for frame, line in _frames(traceback):
        template = frame.f_globals.get("__jinja_template__")
        if template is not None:
            place = f"{name_file(template.name)}:{template.get_corresponding_lineno(line)}"
    return place


def _frames(traceback: types.TracebackType | None) -> Iterator[tuple[types.FrameType, int]]:
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next
