"""The Jinja2 environment in which templates run: sandboxed, strict, bounded, and emitting tokens instead of values.

Source of the rules: ``jinja2.sandbox.ImmutableSandboxedEnvironment``; what it leaves open and we close are
operations whose result is much larger than their operands, attributes that hide a mapping's keys, and globals
that templates of manifests have no use for.
"""

from __future__ import annotations

import contextvars
import functools
import math
from typing import TYPE_CHECKING, Any, Final, NoReturn, final

import jinja2
import jinja2.compiler
import jinja2.sandbox

from lostromos_core import errors
from lostromos_core.templates import budget, filters, lines, live, slots, tokens, values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

MAX_BITS = 256
"""Bits of a number that one operation may produce."""

HOLE: Final = "\N{WHITE SQUARE}"
"""Stands for what is not there yet, when we only want to know which objects a unit would make."""
_guessing: contextvars.ContextVar[bool] = contextvars.ContextVar("guessing", default=False)


def guess(render: Callable[[], str]) -> tuple[str, budget.Slots]:
    """As ``collect``, with a hole for each value that is not there yet."""
    reset = _guessing.set(True)
    try:
        return collect(render)
    finally:
        _guessing.reset(reset)


def collect(render: Callable[[], str]) -> tuple[str, budget.Slots]:
    """Run a rendering; the text with tokens, and the values of its slots."""
    kept = budget.Slots()
    reset = budget.current.set(kept)
    try:
        return render(), kept
    finally:
        budget.current.reset(reset)


def emit(value: Any) -> str:  # noqa: ANN401 - anything that an expression can yield
    """The text that stands for a value: a token, or the text itself if the template made it."""
    if isinstance(value, tokens.Fragment):
        return value.written()
    return _keep(budget.current.get(), value)


def _keep(kept: budget.Slots, value: Any) -> str:  # noqa: ANN401 - anything that an expression can yield
    """The token of a value that is kept."""
    if value.__class__ is str and len(value) <= budget.SHORT:
        values.check_text(value)
        kept.append(value)
    else:
        found = HOLE if _guessing.get() and isinstance(value, live.NotYet) else values.plain(value)
        if isinstance(found, str | list | dict):
            kept.spend(budget.weigh(found))
        kept.append(found)
    number = len(kept)
    if number > tokens.MAX_SLOTS:
        msg = f"more than {tokens.MAX_SLOTS} expressions were written in one rendering"
        raise errors.RenderError(msg)
    return tokens.token(number - 1)


@jinja2.pass_context
def _finalize(_context: object, value: Any) -> str:  # noqa: ANN401 - passing the context keeps Jinja2 from folding it
    return value.written() if value.__class__ is tokens.Fragment else _keep(budget.current.get(), value)


def rounds(items: Any) -> Iterator[Any]:  # noqa: ANN401 - what a template loops over
    """The items of a loop, counted."""
    return budget.current.get().rounds(items)


class MissingField(jinja2.StrictUndefined):
    """A name that is not there: using it raises, with what is there instead."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return str(self._undefined_hint)
        name, found = self._undefined_name, self._undefined_obj
        if found is jinja2.utils.missing:
            return f"there is no variable {name!r}; templates see resource, vars, and what they set themselves"
        if isinstance(found, dict):
            keys = sorted(str(key) for key in found)
            there = ", ".join(keys[:8]) + (", ..." if len(keys) > 8 else "")  # noqa: PLR2004 - a readable list
            guess = errors.nearest(str(name), keys)
            hint = f"there is: {there}" if keys else "the mapping is empty"
            return f"there is no field {name!r} here ({hint}){guess}; write | default(...) if it may be absent"
        if isinstance(found, list) and isinstance(name, int):
            return f"there is no item {name} in a list of {len(found)}"
        return f"{values.kind_of(found)} has no field {name!r}"


@final
class MissingMethod(live.Method, MissingField):
    """A field that is not there, and whose name is that of a mapping's method: ``resource.spec.items()`` works."""

    __slots__ = ()


@final
class _CodeGenerator(jinja2.compiler.CodeGenerator):
    """Marks what includes write, and sends blocks' output and ``~`` through the environment's checks."""

    def visit_Getitem(self, node: Any, frame: Any) -> None:  # noqa: ANN401, N802 - Jinja2's visitor
        if isinstance(node.arg, jinja2.nodes.Const | jinja2.nodes.Slice):
            super().visit_Getitem(node, frame)
            return
        self.write("environment.getitem_computed(")
        self.visit(node.node, frame)
        self.write(", ")
        self.visit(node.arg, frame)
        self.write(")")

    def visit_Const(self, node: Any, frame: Any) -> None:  # noqa: ANN401, N802 - Jinja2's visitor
        value = node.as_const(frame.eval_ctx)
        if isinstance(value, float) and not math.isfinite(value):
            self.write(f"float({str(value)!r})")  # its own name is none of a variable
        else:
            super().visit_Const(node, frame)

    def visit_For(self, node: Any, frame: Any) -> None:  # noqa: ANN401, N802 - Jinja2's visitor
        counted = jinja2.nodes.Call(jinja2.nodes.EnvironmentAttribute("rounds"), [node.iter], [], None, None)
        node.iter = counted.set_lineno(node.lineno).set_environment(self.environment)
        super().visit_For(node, frame)

    def visit_Include(self, node: Any, frame: Any) -> None:  # noqa: ANN401, N802 - Jinja2's visitor
        self.simple_write(repr(tokens.FRAGMENT_BEGIN), frame, node)
        super().visit_Include(node, frame)
        self.simple_write(repr(tokens.FRAGMENT_END), frame, node)

    def visit_CallBlock(self, node: Any, frame: Any) -> None:  # noqa: ANN401, N802 - Jinja2's visitor
        call_frame, macro = self.macro_body(node, frame)
        self.writeline("caller = ")
        self.macro_def(macro, call_frame)
        self.start_write(frame, node)
        self.write("environment.emit(")
        self.visit_Call(node.call, frame, forward_caller=True)
        self.write(")")
        self.end_write(frame)

    def visit_FilterBlock(self, node: Any, frame: Any) -> None:  # noqa: ANN401, N802 - Jinja2's visitor
        inner = frame.inner()
        inner.symbols.analyze_node(node)
        self.enter_frame(inner)
        self.buffer(inner)
        self.blockvisit(node.body, inner)
        self.start_write(frame, node)
        self.write("environment.emit(")
        self.visit_Filter(node.filter, inner)
        self.write(")")
        self.end_write(frame)
        self.leave_frame(inner)

    def visit_Concat(self, node: Any, frame: Any) -> None:  # noqa: ANN401, N802 - Jinja2's visitor
        self.write("environment.concatenate((")
        for child in node.nodes:
            self.visit(child, frame)
            self.write(", ")
        self.write("))")


class _Template(jinja2.Template):
    """A template whose module is made anew for each rendering: a kept one would keep another resource's slots."""

    def _get_default_module(self, ctx: object = None) -> Any:  # noqa: ANN401, ARG002 - as Jinja2
        return self.make_module()


@final
class Environment(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """Jinja2 for manifests. ``places`` numbers where things stand in the templates' files."""

    code_generator_class = _CodeGenerator
    template_class = _Template
    intercepted_binops = frozenset({"+", "-", "*", "**", "%", "//", "/"})
    concat = staticmethod(lambda parts: tokens.Fragment("".join(parts)))

    def __init__(self, loader: jinja2.BaseLoader | None = None, *, name_file: Callable[[str], str] = str) -> None:
        super().__init__(
            loader=loader,
            undefined=MissingField,
            finalize=_finalize,
            extensions=["jinja2.ext.do"],
            keep_trailing_newline=True,
            auto_reload=False,
            cache_size=-1,
        )
        self.places = lines.Places()
        self.programs = slots.Programs(self.places)
        self.emit = emit
        self.rounds = rounds
        self._name_file = name_file
        for unwanted in ("lipsum", "cycler", "joiner"):
            del self.globals[unwanted]
        for unwanted in filters.UNWANTED:
            del self.filters[unwanted]
        self.filters.update(filters.FILTERS)
        self.filters = {name: _guard(name, function) for name, function in self.filters.items()}
        self.globals["lookup"] = live.lookup

    def extend_with(
        self,
        *,
        filters: Mapping[str, Callable[..., Any]],
        tests: Mapping[str, Callable[..., Any]],
        functions: Mapping[str, Any],
    ) -> None:
        """Add what plug-ins and users bring."""
        self.filters.update({name: _guard(name, function) for name, function in filters.items()})
        self.tests.update(tests)
        self.globals.update(functions)

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> jinja2.lexer.TokenStream:
        """As Jinja2 does, with our rules for white space and with place marks."""
        raw: Iterable[lines.RawToken] = self.lexer.tokeniter(
            self.preprocess(source, name, filename), name, filename, state
        )
        if state is None:
            raw = self._marked(raw, name)
        return jinja2.lexer.TokenStream(self.lexer.wrap(raw, name, filename), name, filename)

    def _marked(self, raw: Iterable[lines.RawToken], name: str | None) -> Iterator[lines.RawToken]:
        return lines.mark(raw, file=self._name_file(name or "<template>"), places=self.places)

    def getitem(self, obj: Any, argument: Any) -> Any:  # noqa: ANN401 - as Jinja2
        """As Jinja2's; what a looked-up object does not have yet can be waited for."""
        return live.below(obj, argument) if live.has(obj, argument) else super().getitem(obj, argument)

    def getitem_computed(self, obj: Any, argument: Any) -> Any:  # noqa: ANN401 - as getitem
        """As ``getitem``; a name that is no part of the template may be a secret, and is not told."""
        found = self.getitem(obj, argument)
        if isinstance(found, live.NotYet):
            return live.not_yet("a field that the template computes is not there yet")
        if isinstance(found, MissingField) and isinstance(argument, str):
            return MissingField(hint=_COMPUTED)
        return found

    def getattr(self, obj: Any, attribute: str) -> Any:  # noqa: ANN401 - as Jinja2
        """A mapping's key before its method: ``resource.spec.items`` is the field."""
        if live.has(obj, attribute):
            return live.below(obj, attribute)
        if isinstance(obj, dict):
            if attribute in obj:
                return obj[attribute]
            return (MissingMethod if attribute in _MAPPING_METHODS else MissingField)(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401 - as Jinja2
        """Refuse what would exhaust memory before computing it."""
        if operator in {"*", "**", "%", "+"}:
            _check_size(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Any, function: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as Jinja2
        """Refuse string methods whose argument is the size of their result."""
        name = getattr(function, "__name__", "")
        if name in _PADDING and isinstance(getattr(function, "__self__", None), str):
            _refuse_method(name)
        return super().call(context, function, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Any:  # noqa: ANN401 - as Jinja2
        """Formatting can make any amount of text of nothing."""
        if super().wrap_str_format(value) is None:
            return None
        return lambda *_args, **_kwargs: _refuse_method(value.__name__)

    def concatenate(self, operands: tuple[Any, ...]) -> str:
        """What ``~`` means: the operands as text, one after the other."""
        parts = []
        for operand in operands:
            if isinstance(operand, tokens.Fragment):
                tokens.refuse("concatenated or formatted")
            parts.append(_operand(operand))
        if sum(map(len, parts)) > values.MAX_STRING:
            _refuse_size("~")
        return "".join(parts)


_COMPUTED = "there is no field of the name that the template computes; write | default(...) if it may be absent"

_MAPPING_METHODS = live.MAPPING_METHODS

_PADDING = frozenset({"ljust", "rjust", "center", "zfill", "expandtabs", "replace", "join", "translate"})
"""Methods of strings whose result can be much larger than the string; for two of them there are filters."""


def _guard(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that never gets a fragment, unless it is made for that: it would take tokens for text."""
    if name in filters.FOR_FRAGMENTS:
        return function

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the filter
        for value in args:
            if type(value) is tokens.Fragment:
                tokens.refuse(f"given to the filter {name}")
        return function(*args, **kwargs)

    return guarded


def _operand(value: Any) -> str:  # noqa: ANN401 - anything that an expression can yield
    """An operand of ``~`` as text, as it would be written inside a string."""
    if isinstance(value, jinja2.Undefined):
        str(value)
    return values.to_text(value)


def _refuse_method(name: str) -> NoReturn:
    way_out = (
        f"use the filter | {name}" if name in {"join", "replace"} else "write the text with {{ ... }} in it, or use ~"
    )
    msg = f"the method {name} of strings is not available in templates; {way_out}"
    raise errors.RenderError(msg)


def _check_size(operator: str, left: Any, right: Any) -> None:  # noqa: ANN401 - any operands
    if operator == "%" and isinstance(left, str):
        msg = "formatting with % is not available in templates; write the text with {{ ... }} in it, or use ~"
        raise errors.RenderError(msg)
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() * max(right, 1) if operator == "**" else left.bit_length() + right.bit_length()
        if operator in {"**", "*"} and bits > MAX_BITS:
            _refuse_size(operator)
    elif operator == "*":
        sized, count = (left, right) if isinstance(right, int) else (right, left)
        if isinstance(sized, str | list | tuple) and isinstance(count, int) and len(sized) * count > values.MAX_STRING:
            _refuse_size(operator)
    elif operator == "+" and all(_is_sized(side) for side in (left, right)):
        size = len(left) + len(right)
        budget.spend(size)
        if size > values.MAX_STRING:
            _refuse_size(operator)


def _is_sized(value: Any) -> bool:  # noqa: ANN401 - any operand
    return isinstance(value, str | list | tuple) and not isinstance(value, tokens.Fragment)


def _refuse_size(operator: str) -> NoReturn:
    msg = f"the result of {operator} would be too large for any Kubernetes object"
    raise errors.RenderError(msg)
