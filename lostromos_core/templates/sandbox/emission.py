"""Write a token in place of each value, and keep the value in its slot."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Final

import jinja2
import jinja2.nodes
import jinja2.runtime
import jinja2.sandbox

from lostromos_core import errors
from lostromos_core.templates.data import budget, marked, tokens, values
from lostromos_core.templates.sandbox import looked_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from lostromos_core import interfaces

HOLE: Final = "\N{WHITE SQUARE}"
"""Placeholder for a value that does not exist yet, when guessing which objects a unit would make."""


_guessing: contextvars.ContextVar[bool] = contextvars.ContextVar("guessing", default=False)


def guess(render: Callable[[], str]) -> tuple[str, budget.Slots]:
    """Collect like ``collect``, with a placeholder for each value that does not exist yet."""
    reset = _guessing.set(True)
    try:
        return collect(render)
    finally:
        _guessing.reset(reset)


def collect(render: Callable[[], str]) -> tuple[str, budget.Slots]:
    """Run a rendering, and return the text with tokens and the values of its slots."""
    kept = budget.slots()
    reset = budget.current.set(kept)
    try:
        return render(), kept
    finally:
        budget.current.reset(reset)


def emit(value: interfaces.Anything) -> str:
    """Return the text that represents a value: a token, or the text itself if the template made it."""
    if isinstance(value, tokens.Fragment):
        return _emit_fragment(value)
    kept = _current()
    kind = value.__class__
    if kind is str:
        if len(value) > budget.SHORT:
            kept.budget.write(len(value))
        kept.append(value if value.isascii() else values.check_text(value))
    elif kind is bool or value is None:
        kept.append(value)
    elif kind is jinja2.Undefined or kind in _MARKED:
        kept.marked = True
        kept.append(_marked(value, kept))
    else:
        found = HOLE if _guessing.get() and isinstance(value, looked_up.NotYet) else values.plain(value)
        if isinstance(found, str | list | dict):
            kept.budget.write(budget.weigh(found))
        kept.append(found)
    number = len(kept)
    if number > tokens.MAX_SLOTS:
        msg = f"more than {tokens.MAX_SLOTS} expressions were written in one rendering"
        raise errors.RenderError(msg)
    return tokens.token(number - 1)


_MARKED: Final = frozenset({marked.Text, marked.Nothing})


def _marked(value: interfaces.Anything, kept: budget.Slots) -> interfaces.Anything:
    """Return a marked value as it is stored; an undefined value comes from an inline if without an else."""
    if isinstance(value, str):
        kept.budget.write(len(value))
        values.check_text(str.__str__(value))
        return value
    return value if isinstance(value, marked.Nothing) else marked.NO_ELSE


_current: Final = budget.current.get


@jinja2.pass_context
def finalize(_context: object, value: interfaces.Anything) -> str:
    """Emit a value like ``emit``, with a fast path for the most common values."""
    kind = value.__class__
    quick = len(value) <= budget.SHORT and value.isascii() if kind is str else kind is int and -_WHOLE < value < _WHOLE
    if quick:
        kept = _current()
        number = len(kept)
        if number < len(_FIRST):
            kept.append(value)
            return _FIRST[number]
    return emit(value)


_WHOLE: Final = 1 << 63


_FIRST: Final = [tokens.token(number) for number in range(256)]


def _emit_fragment(fragment: tokens.Fragment) -> str:
    """Return the text of a fragment, and charge for laying it out."""
    length = str.__len__(fragment)
    if length > budget.SHORT:
        now = budget.now()
        now.spend(30 * str.count(fragment, "\n") + (length >> 5))
        now.make(4 * length)
    return fragment.written()
