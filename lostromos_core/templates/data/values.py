"""Check what an expression may yield: plain data, checked and converted before it is kept."""

from __future__ import annotations

import math
import re
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any, Final

import jinja2

from lostromos_core import errors, interfaces
from lostromos_core.templates.data import budget, marked, tokens

MAX_STRING = marked.MAX_STRING

_NO_TEXT = re.compile(f"[\ud800-\udfff{tokens.FIRST}-{tokens.LAST}]")
_SIZED = (list, tuple, set, frozenset, range, KeysView, ValuesView, ItemsView)


def kind_of(value: object) -> str:
    """Return a readable name for the type of a JSON value."""
    if isinstance(value, str | marked.Nothing):
        return "a string" if isinstance(value, str) else "nothing"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "a mapping"}
    return "null" if value is None else names.get(type(value), f"a Python {type(value).__name__}")


def plain(value: interfaces.Json) -> interfaces.Json:
    """Return the value as plain data: str, int, float, bool, None, lists and dicts with string keys.

    Raises RenderError for values that JSON cannot represent, and Jinja2's UndefinedError for missing values. The work
    is charged to the current rendering while the value is traversed.
    """
    kind = type(value)
    if kind is str:
        return check_text(value)
    if kind is int or kind is bool or value is None:
        return _whole(value) if kind is int else value
    return _plain(value, 0, budget.now())


def _plain(value: interfaces.Json, depth: int, now: budget.Budget) -> interfaces.Json:  # noqa: PLR0911 - any JSON value; a table of kinds
    kind = type(value)
    if kind is str:
        return check_text(value)
    if kind is int or kind is bool or value is None:
        return _whole(value) if kind is int else value
    if depth > budget.MAX_DEPTH:
        budget.too_deep()
    if kind is float:
        return _number(value)
    if isinstance(value, Mapping):
        _charge(len(value), _ENTRY, now)
        return {_key(key): _plain(item, depth + 1, now) for key, item in value.items() if item is not marked.OMIT}
    if isinstance(value, _SIZED):
        _charge(len(value), _ITEM, now)
        return [_plain(item, depth + 1, now) for item in value if item is not marked.OMIT]
    if isinstance(value, Iterator):
        return [_plain(item, depth + 1, now) for item in _charged(value, now)]
    return _odd(value)


def _charge(length: int, size: int, now: budget.Budget) -> None:
    now.spend(14 + 5 * length)
    now.make(64 + size * length)


def _charged(items: Iterator[Any], now: budget.Budget) -> Iterator[Any]:
    for item in items:
        _charge(1, _ITEM, now)
        yield item


_ITEM: Final = 8
"""Bytes of an item in a list."""
_ENTRY: Final = 40
"""Bytes of an entry in a mapping."""


def to_text(value: object) -> str:
    """Return the value as written inside a string; raises RenderError for one that is not allowed there."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if value is marked.NO_ELSE:
        return ""
    if value is marked.OMIT:
        marked.refuse(marked.OMIT)
    hint = (
        "use | default(..., true)"
        if value is None
        else "use | to_json, or let the expression stand alone without quotes; among keys or items, in their column"
    )
    msg = f"{kind_of(value)} cannot be part of a string; {hint}"
    raise errors.RenderError(msg)


def check_text(value: str) -> str:
    """Return the text itself; raises RenderError if it contains characters that no manifest may contain."""
    found = _NO_TEXT.search(value)
    if found and "\ud800" <= found[0] <= "\udfff":
        msg = f"a value contains half of a character, U+{ord(found[0]):04X}, which UTF-8 cannot encode"
        raise errors.RenderError(msg)
    if found:
        msg = "a value holds a character from U+FDD0 to U+FDD7: it was cut out of a fragment, or is not genuine text"
        raise errors.RenderError(msg)
    return value


def _whole(value: int) -> int:
    if not -(1 << 63) <= value < 1 << 64:
        msg = "a whole number has more than 64 bits; write it as a string"
        raise errors.RenderError(msg)
    return value


def _number(value: float) -> float:
    if not math.isfinite(value):
        msg = f"{value} has no meaning in JSON"
        raise errors.RenderError(msg)
    return value


def _key(key: object) -> str:
    if isinstance(key, marked.Text):
        key = str.__str__(key)
    if type(key) is not str:
        msg = f"a key of a mapping must be a string, not {kind_of(key)}"
        raise errors.RenderError(msg)
    return check_text(key)


def _odd(value: interfaces.Json) -> interfaces.Json:
    """Convert subclasses of plain types; raise the error for everything else."""
    if value.__class__ is jinja2.Undefined:
        marked.refuse(marked.NO_ELSE)
    if isinstance(value, marked.Nothing):
        marked.refuse(value)
    if isinstance(value, jinja2.Undefined):
        str(value)
    if isinstance(value, tokens.Fragment):
        msg = "the output of a macro, include, call or set block cannot be an item of a list or mapping"
        raise errors.RenderError(msg)
    if isinstance(value, str):
        return check_text(str.__str__(value))
    if callable(value):
        msg = f"{getattr(value, '__name__', 'this')} is a function; call it with ()"
        raise errors.RenderError(msg)
    msg = f"{kind_of(value)} cannot be written into a manifest"
    raise errors.RenderError(msg)
