"""Define the Jinja2 environment of templates: sandboxed, strict, bounded, and emitting tokens instead of values.

Source of the rules: ``jinja2.sandbox.ImmutableSandboxedEnvironment``. In addition, we restrict operations whose result
is much larger than their operands, attributes that hide a mapping's keys, and globals that are of no use in manifests.
"""

from __future__ import annotations

import operator
import types
from typing import TYPE_CHECKING, Any, Final, final

import jinja2
import jinja2.nodes
import jinja2.runtime
import jinja2.sandbox

from lostromos_core import errors
from lostromos_core.templates.data import budget, marked, tokens, values
from lostromos_core.templates.filters import costs, familiar, filters, operator_costs
from lostromos_core.templates.sandbox import absent, codegen, emission, looked_up
from lostromos_core.templates.slots import lexer, slots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from lostromos_core import interfaces


def rounds(items: interfaces.Anything, cost: int, written: str = "") -> Iterator[Any]:
    """Iterate over the items of a loop, ``cost`` steps each; ``written`` is the expression, for messages."""
    if items is None or isinstance(items, bool | int | float):
        origin = f" (from {written})" if written else ""
        hint = "; write | default([], true)" if items is None else ""
        msg = f"{values.kind_of(items)} cannot be looped over{origin}{hint}"
        raise errors.RenderError(msg)
    return budget.current.get().rounds(items, cost)


def charge(cost: int) -> None:
    """Count the steps of a body that begins."""
    budget.current.get().budget.spend(cost)


_OPERATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "eq": operator.eq, "ne": operator.ne, "gt": operator.gt, "gteq": operator.ge, "lt": operator.lt,
    "lteq": operator.le, "in": costs.contains, "notin": lambda value, where: not costs.contains(value, where),
}  # fmt: skip


def compare(operators: tuple[str, ...], operands: tuple[Any, ...]) -> interfaces.Anything:
    """Evaluate a comparison, or a chain of comparisons, and charge for it."""
    found: Any = True
    for index, name in enumerate(operators):
        left, right = operands[index], operands[index + 1]
        if name not in _CONTAINING:
            costs.charge_comparison(left, right)
        found = _OPERATORS[name](left, right)
        if not found:
            return found
    return found


_CONTAINING: Final = frozenset({"in", "notin"})


_LONG: Final = 8192
"""Characters above which a text is charged, in addition to the template lines that it consists of."""


def joined(parts: Iterable[str]) -> str:
    """Join the output of a template, and charge for it."""
    pieces = list(parts)
    length = sum(map(str.__len__, pieces))
    if length > _LONG:
        if length > slots.MAX_TEXT:
            raise errors.RenderError(slots.TOO_LONG)
        budget.now().make(2 * length)
    return "".join(pieces)


class _Template(jinja2.Template):
    """Build a template's module anew for each rendering: a cached one would keep another resource's slots."""

    def _get_default_module(self, ctx: object = None) -> interfaces.Anything:  # noqa: ARG002 - Jinja2's signature
        return self.make_module()


@final
class Environment(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """Configure Jinja2 for manifests; ``places`` numbers the places in the template files."""

    code_generator_class = codegen.CodeGenerator
    template_class = _Template
    intercepted_binops = frozenset({"+", "-", "*", "**", "%", "//", "/"})
    concat = staticmethod(lambda parts: tokens.Fragment(joined(parts)))

    def __init__(self, loader: jinja2.BaseLoader | None = None, *, name_file: Callable[[str], str] = str) -> None:
        super().__init__(
            loader=loader,
            undefined=absent.MissingField,
            finalize=emission.finalize,
            extensions=["jinja2.ext.do"],
            keep_trailing_newline=True,
            auto_reload=False,
            cache_size=-1,
        )
        self.places = lexer.Places()
        self.programs = slots.Programs(self.places)
        self.emit = emission.emit
        self.rounds = rounds
        self.charge = charge
        self.compare = compare
        self.cut = operator_costs.cut
        self.as_key = costs.as_key
        self._name_file = name_file
        for unwanted in ("lipsum", "cycler", "joiner"):
            del self.globals[unwanted]
        for unwanted in filters.UNWANTED:
            del self.filters[unwanted]
        self.filters.update(filters.FILTERS)
        self.filters.update(familiar.FILTERS)
        self.filters = {name: _guard(name, function) for name, function in self.filters.items()}
        tests: Any = {**self.tests, **familiar.TESTS}  # of any signature
        self.tests = {name: costs.guard_test(name, function) for name, function in tests.items()}
        self.globals["lookup"] = looked_up.lookup
        self.globals["omit"] = marked.OMIT

    def extend_with(
        self,
        *,
        filters: Mapping[str, Callable[..., Any]],
        tests: Mapping[str, Callable[..., Any]],
        functions: Mapping[str, Any],
    ) -> None:
        """Add the filters, tests and functions of plug-ins and users."""
        self.filters.update({name: _guard(name, function) for name, function in filters.items()})
        self.tests.update(tests)
        self.globals.update(functions)

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> jinja2.lexer.TokenStream:
        """Tokenize like Jinja2, with our rules for white space and with place marks."""
        raw: Iterable[lexer.RawToken] = self.lexer.tokeniter(
            self.preprocess(source, name, filename), name, filename, state
        )
        if state is None:
            raw = self._marked(raw, name)
        return jinja2.lexer.TokenStream(self.lexer.wrap(raw, name, filename), name, filename)

    def _marked(self, raw: Iterable[lexer.RawToken], name: str | None) -> Iterator[lexer.RawToken]:
        return lexer.mark(raw, file=self._name_file(name or "<template>"), places=self.places)

    def getitem(self, obj: interfaces.Anything, argument: interfaces.Anything) -> interfaces.Anything:
        """Return a key or an item, never a method; a missing part of a looked-up object can be waited for.

        Filters use this for attributes, too: ``selectattr("items")`` means the field.
        """
        if looked_up.has(obj, argument):
            return looked_up.below(obj, argument)
        if isinstance(obj, dict) and isinstance(argument, str):
            return obj[argument] if argument in obj else absent.missing(obj, argument)
        if isinstance(obj, absent.MissingField):
            absent.below(obj, argument)
        if obj is None:
            return absent.MissingField(obj=None, name=argument)
        return super().getitem(obj, argument)

    def getitem_computed(self, obj: interfaces.Anything, argument: interfaces.Anything) -> interfaces.Anything:
        """Get an item like ``getitem``; a name that is not part of the template may be a secret, and is not shown."""
        found = self.getitem(obj, costs.as_key(argument))
        if isinstance(found, looked_up.NotYet):
            return looked_up.not_yet("a field whose name is computed does not exist yet")
        if isinstance(found, absent.MissingField) and isinstance(argument, str):
            return absent.MissingField(hint=absent.COMPUTED)
        return found

    def getattr(self, obj: interfaces.Anything, attribute: str) -> interfaces.Anything:
        """Return a mapping's key rather than its method: ``resource.spec.items`` is the field."""
        if obj.__class__ is dict and attribute in obj:
            return obj[attribute]
        if looked_up.has(obj, attribute):
            return looked_up.below(obj, attribute)
        if isinstance(obj, dict):
            return obj[attribute] if attribute in obj else absent.missing(obj, attribute)
        if isinstance(obj, absent.MissingField):
            absent.below(obj, attribute)
        return super().getattr(obj, attribute)

    def call_binop(
        self, context: interfaces.Anything, operator: str, left: interfaces.Anything, right: interfaces.Anything
    ) -> interfaces.Anything:
        """Refuse operations that would exhaust time or memory before they are computed."""
        operator_costs.charge_operator(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(
        self,
        context: interfaces.Anything,
        function: interfaces.Anything,
        *args: interfaces.Anything,
        **kwargs: interfaces.Anything,
    ) -> interfaces.Anything:
        """Refuse methods whose argument determines the size of their result, and charge for copied data."""
        kind = function.__class__
        if kind is types.BuiltinFunctionType:
            costs.charge_method(function, args)
        elif kind is type:
            costs.charge_call(args, kwargs)
        elif kind is types.MethodType and isinstance(function.__self__, jinja2.runtime.LoopContext):
            for value in args:
                costs.charge_comparison(value, value)
        return super().call(context, function, *args, **kwargs)

    def wrap_str_format(self, value: interfaces.Anything) -> interfaces.Anything:
        """Refuse formatting, which can make any amount of text from nothing."""
        if super().wrap_str_format(value) is None:
            return None
        return lambda *_args, **_kwargs: costs.refuse_method(value.__name__)

    def concatenate(self, operands: tuple[Any, ...]) -> str:
        """Evaluate ``~``: join the operands as text."""
        parts = []
        for operand in operands:
            if isinstance(operand, tokens.Fragment):
                tokens.refuse("concatenated or formatted")
            parts.append(_operand(operand))
        length = sum(map(len, parts))
        if length > budget.SHORT:
            if length > values.MAX_STRING:
                operator_costs.refuse_size("~")
            budget.now().make(length if all(map(str.isascii, parts)) else 4 * length)
        return "".join(parts)


def _guard(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    return costs.guard_filter(name, function, for_fragments=name in familiar.FOR_FRAGMENTS)


def _operand(value: interfaces.Anything) -> str:
    """Return an operand of ``~`` as text, as it would be written inside a string."""
    if value.__class__ is jinja2.Undefined:
        return ""
    if isinstance(value, jinja2.Undefined):
        str(value)
    return values.to_text(value)


costs.ignore(Environment, jinja2.runtime.Context, jinja2.nodes.EvalContext)
