"""Compile a folder of templates, for all renderers that render from files."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

import jinja2
import jinja2.meta
import jinja2.nodes
import structlog

from lostromos_core import errors, interfaces
from lostromos_core.templates import template_folder
from lostromos_core.templates.sandbox import checks, embed, emission, messages, sandbox
from lostromos_core.templates.slots import written

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Iterator

    from lostromos_core.templates.data import budget
    from lostromos_core.templates.slots import slots

_log = structlog.get_logger("lostromos.templates")
OWN_STATUS = frozenset({"conditions", "observedGeneration", "resources"})
"""Status fields that the operator writes itself."""
_HIDDEN = frozenset({"resourceVersion", "managedFields", "generation", "selfLink", "finalizers"})
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@final
class Library:
    """Hold the templates of a folder.

    Raises ConfigError if the folder cannot be read. Templates are compiled on demand.
    """

    def __init__(self, folder: pathlib.Path, *extras: Extras) -> None:
        self._folder = folder
        self._files: dict[str, str] = {}
        self._used: dict[str, set[str]] = {}
        self._read = template_folder.read(folder)
        self._sources = self._read.sources
        environment = sandbox.Environment(jinja2.DictLoader(self._sources), name_file=self.name_file)
        environment.add_extension(embed.EmbeddedDocument)
        for filters, tests, functions in extras:
            environment.extend_with(filters=filters, tests=tests, functions=functions)
        self._environment = environment
        self.words = written.Words(environment.parse, self._tree_of)
        """Words written in the templates that expressions can yield."""

    @property
    def names(self) -> list[str]:
        """Return the names of all templates, sorted; files that can only be included have other endings."""
        return [name for name in sorted(self._sources) if template_folder.is_template(name) or self._is_bare(name)]

    def _is_bare(self, name: str) -> bool:
        return template_folder.is_bare(name, self._sources[name])

    def name_file(self, name: str) -> str:
        """Return the path of a template, for messages."""
        if name not in self._files:
            self._files[name] = str(self._folder / name)
        return self._files[name]

    def _tree_of(self, file: str) -> jinja2.nodes.Template | None:
        name = self._name_of(file)
        return None if name is None else self._environment.parse(self._sources[name], name)

    def _name_of(self, file: str) -> str | None:
        """Return the name of the template with this path, or None."""
        return next((one for one in self._sources if self.name_file(one) == file), None)

    def compile(self, name: str) -> jinja2.Template:
        """Return a compiled template.

        Raises ConfigError, with the line, if its syntax is wrong or if a filter or test does not exist.
        """
        try:
            self._check(name)
            return self._environment.get_template(name)
        except jinja2.TemplateSyntaxError as error:
            line, message = checks.syntax(error, self._sources.get(error.name or name, ""))
            msg = f"{self.name_file(error.name or name)}:{line}: not a valid template: {message}"
            raise errors.ConfigError(msg) from error
        except (SyntaxError, RecursionError, ValueError) as error:  # from the Python code that Jinja2 generates
            msg = f"{self.name_file(name)}: not a valid template: {errors.shorten(str(error))}"
            raise errors.ConfigError(msg) from error

    def _check(self, name: str) -> None:
        """Raise ConfigError for unknown filters or tests; record the templates used, and warn of useless code."""
        if name in self._used or name not in self._sources:
            return
        tree = self._environment.parse(self._sources[name], name)
        checks.refuse(checks.names(tree, self._environment), self.name_file(name))
        self._used[name] = {one for one in jinja2.meta.find_referenced_templates(tree) if one in self._sources}
        notes = {note: line for line, note in reversed(list(checks.notes(tree)))}  # each note once, at its first line
        for note, line in notes.items():
            _log.warning(note, place=f"{self.name_file(name)}:{line}")

    def compile_used(self, name: str) -> None:
        """Compile a template and all templates that it references by literal names; raises ConfigError."""
        pending, done = [name], {name}
        while pending:
            template = pending.pop()
            self.compile(template)
            new = self._used[template] - done
            pending += new
            done |= new

    def compile_all(self) -> dict[str, jinja2.Template]:
        """Compile all templates, including partials, and return them by name.

        Raises ConfigError, and logs a warning for each file that is not used.
        """
        compiled = {name: self.compile(name) for name in self.names}
        for name in self.names:
            self.compile_used(name)
        included = self._included
        for name in (*self._sources, *self._read.others):
            if name not in compiled and name not in included:
                _log.warning("a file in the template folder is not used", file=self.name_file(name), hint=_NOT_USED)
        return compiled

    @property
    def _included(self) -> set[str]:
        """Return the templates that others include, as far as their names are literals."""
        return {one for used in self._used.values() for one in used}

    def is_partial(self, name: str) -> bool:
        """Decide whether a template makes no objects.

        Its name begins with ``_``, or it is bare (see ``template_folder.is_bare``) and another template includes it.
        """
        return pathlib.PurePath(name).name.startswith("_") or (self._is_bare(name) and name in self._included)

    def fill(
        self,
        template: jinja2.Template,
        names: Mapping[str, Any],
        collect: Callable[[Callable[[], str]], tuple[str, budget.Slots]],
    ) -> list[slots.Document]:
        """Return the documents that a template makes; raises whatever the template raises: see ``explain``."""
        text, found = collect(lambda: sandbox.joined(template.root_render_func(template.new_context(dict(names)))))
        return self._environment.programs.fill(text, found)

    def fill_mapping(self, template: jinja2.Template, names: Mapping[str, Any], what: str) -> slots.Document | None:
        """Return the one mapping that a template makes, or None if it makes nothing; raises RenderError."""
        name = template.name or ""
        try:
            documents = self.fill(template, names, emission.collect)
        except errors.NotYetError:
            raise
        except Exception as error:
            raise self.explain(error, name) from error
        if not documents or (len(documents) == 1 and documents[0].data is None):
            return None
        if len(documents) > 1 or not isinstance(documents[0].data, dict):
            msg = f"{what} must be one mapping"
            raise errors.RenderError(msg, place=self.name_file(name))
        return documents[0]

    def fill_status(self, name: str, names: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the status fields that a template makes, or None if they wait for an object.

        Returns an empty dict if ``name`` is empty. Raises RenderError, also for fields that the operator writes itself.
        """
        if not name:
            return {}
        try:
            document = self.fill_mapping(self.compile(name), names, "the status")
        except errors.NotYetError:
            return None
        found: dict[str, Any] = {} if document is None else document.data
        own = [key for key in found if key in OWN_STATUS]
        if own and document is not None:
            msg = f"the status field {own[0]!r} is written by the operator; choose another name"
            raise errors.RenderError(msg, place=str(document.locate((own[0],)) or self.name_file(name)))
        return found

    def explain(self, error: Exception, name: str) -> errors.RenderError:
        """Return a RenderError that describes what failed and where, without values, which may be secrets."""
        if isinstance(error, errors.RenderError) and error.place:
            return error
        if isinstance(error, jinja2.TemplateNotFound):
            what = template_folder.absent(str(error.name or ""), self._read)
        elif isinstance(error, errors.RenderError):
            what = error.message
        else:
            what = messages.of(error)
        place = _template_place(error.__traceback__, self.name_file) or self.name_file(name)
        text = errors.shorten(messages.without_data(what, self._sources) + self._hyphen(error, place))
        return errors.RenderError(text, place=place, pure=isinstance(error, _OF_TEMPLATES))

    def _hyphen(self, error: Exception, place: str) -> str:
        """Return a hint if a missing name is part of a name with a hyphen; empty otherwise."""
        missing = messages.NOT_THERE.match(str(error))
        file, _, line = place.rpartition(":")
        name = self._name_of(file)
        if not missing or name is None or not line.isdecimal():
            return ""
        return checks.hyphen(missing[1], "".join(self._sources[name].splitlines()[int(line) - 1 : int(line)]))


_NOT_USED = (
    f"the name of a template ends in {template_folder.ENDINGS}; "
    "one that ends in .j2 alone makes objects if it has a kind"
)
_OF_TEMPLATES = (
    jinja2.TemplateError, errors.RenderError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError,
    ValueError,
)  # fmt: skip
"""Exceptions that a template raises itself. Any other comes from a plug-in's filter, and may differ next time."""


if TYPE_CHECKING:
    Extras = tuple[Mapping[str, Callable[..., Any]], Mapping[str, Callable[..., Any]], Mapping[str, Any]]
    """Filters, tests and functions."""


def author_view(resource: interfaces.Resource) -> dict[str, Any]:
    """Return what the resource's author wrote: no status, no bookkeeping, none of our labels and annotations."""
    view = {key: value for key, value in resource.data.items() if key not in {"status", "metadata"}}
    view["metadata"] = {key: value for key, value in resource.metadata.items() if key not in _HIDDEN}
    for marks in ("labels", "annotations"):
        if isinstance(view["metadata"].get(marks), Mapping):
            view["metadata"][marks] = {
                key: value
                for key, value in view["metadata"][marks].items()
                if not key.startswith(interfaces.CONTROL_PREFIXES) and key != _LAST_APPLIED
            }
    return view


def _template_place(traceback: types.TracebackType | None, name_file: Callable[[str], str]) -> str:
    """Return the innermost template line in a traceback, or an empty string."""
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
