"""Keep data out of error messages: they appear in a resource's status, which more people may read than the data.

Exceptions of Python and of plug-ins repeat their arguments: ``'hunter2' is not in list``. So only messages about types
are kept, and a quoted word is kept only if it is written in a template.
"""

from __future__ import annotations

import builtins
import re
from typing import TYPE_CHECKING, Final

import jinja2

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOLD: Final = (TypeError, ZeroDivisionError, IndexError, AttributeError, OverflowError)
"""Exceptions of Python whose messages are about types, and not about values."""
_OURS: Final = ("jinja2", "lostromos_core.templates")
_QUOTED: Final = re.compile(r"""(did you mean )?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
_RECURSION: Final = (
    "macros, includes or loops call each other without an end, or a value is nested too deeply to be worked with; end "
    "the recursion, or limit the nesting in the resource's schema"
)
NOT_THERE: Final = re.compile(r"there is no (?:variable|field) '([^']+)'")
_TYPES: Final = frozenset(
    {"NoneType", "Undefined", "MissingField", "MissingMethod", "generator", "function", "method", "Namespace", "Macro"}
)


def of(error: Exception) -> str:
    """Return the message of an exception, as far as it cannot contain data."""
    if isinstance(error, RecursionError):
        return _RECURSION
    if isinstance(error, jinja2.TemplateError) and error.message:
        return error.message
    name = type(error).__name__
    if isinstance(error, errors.LostromosError) or (isinstance(error, _TOLD) and _is_ours(error)):
        return f"{name}: {error}{_remedy(error)}"
    return f"{name} (what it says may repeat data, so it is left out)"


def _remedy(error: Exception) -> str:
    """Return what to do about a common Python error; empty for others."""
    said = str(error)
    if "NoneType" in said and "iterable" in said:
        return "; null cannot be looped over or searched: write | default([], true)"
    if "NoneType" in said:
        return "; a value is null: write | default(..., true)"
    if "concatenate str" in said or "for +: " in said:
        return "; to join texts and numbers, write ~ instead of +"
    if "not supported between" in said:
        return "; compare values of one type: | int makes a number of a text"
    return "; only functions, macros and methods can be called" if "is not callable" in said else ""


def _is_ours(error: Exception) -> bool:
    """Report whether an exception was raised by a template or by the code that runs it, and not by a plug-in."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return False
    names = traceback.tb_frame.f_globals
    return "__jinja_template__" in names or str(names.get("__name__")).startswith(_OURS)


def without_data(message: str, sources: Mapping[str, str]) -> str:
    """Return the message without quoted words, except for types and words of a template."""

    def told(match: re.Match[str]) -> str:
        word = match[2][1:-1]
        if match[1] or not word or hasattr(builtins, word) or word in _TYPES or _stands_in(word, sources):
            return match[0]
        return "'...'"

    return _QUOTED.sub(told, message[:_LONGEST])


_LONGEST: Final = 4_000
"""Characters of a message that are examined; it is cut to fewer."""


def _stands_in(word: str, sources: Mapping[str, str]) -> bool:
    """Report whether a template contains a text that is not part of a longer word."""
    pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
    return any(word in source and pattern.search(source) for source in sources.values())
