"""Provide filters and tests that are known from Ansible and Helm, as far as a pure rendering allows."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import jinja2

from lostromos_core import errors, interfaces
from lostromos_core.templates.data import budget, values
from lostromos_core.templates.filters import costs, digests, filters, parsing, regex

_TRUE: Final = frozenset({"1", "on", "t", "true", "y", "yes"})
_FALSE: Final = frozenset({"", "0", "f", "false", "n", "no", "off"})
_PART: Final = re.compile(r"[0-9]+|[a-z]+")
_OPERATORS: Final = {
    "==": "==", "=": "==", "eq": "==", "!=": "!=", "<>": "!=", "ne": "!=", "<": "<", "lt": "<", "<=": "<=", "le": "<=",
    ">": ">", "gt": ">", ">=": ">=", "ge": ">=",
}  # fmt: skip
_MAX_VERSION: Final = 200
_ESCAPE: Final = re.compile(r"\\(?:g<(\w+)>|([0-9]{1,2})|(.))", re.DOTALL)
_LETTERS: Final = {"n": "\n", "t": "\t", "r": "\r"}


def as_bool(value: interfaces.Anything) -> bool:
    """Convert the usual spellings of a boolean; raises RenderError for anything else."""
    if value is None or isinstance(value, bool):
        return bool(value)
    text = values.to_text(value).strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise errors.RenderError("bool takes true, false, yes, no, on, off, 1, 0 or null, and nothing else")


def ternary(
    value: interfaces.Anything, true: interfaces.Anything, false: interfaces.Anything, none: interfaces.Anything = None
) -> interfaces.Anything:
    """Return the second value if the first is true, else the third; for null, the fourth if it is specified."""
    if value is None and none is not None:
        return none
    return true if value else false


def quote(value: interfaces.Anything) -> interfaces.Anything:
    """Return the value unchanged: nothing needs quotes here."""
    return value


def combine(*layers: interfaces.Anything, recursive: bool = False, **unknown: interfaces.Anything) -> dict[str, Any]:
    """Merge mappings; the keys of later ones win, and with ``recursive``, nested mappings are merged, too."""
    if unknown:
        raise errors.RenderError("combine takes mappings, and recursive=true; other arguments are not supported")
    now = budget.now()
    made: dict[str, Any] = {}
    for layer in _flat(layers):
        if not isinstance(layer, Mapping):
            msg = f"combine takes mappings, but got {values.kind_of(layer)}"
            raise errors.RenderError(msg + ("; write | default({}, true)" if layer is None else ""))
        if recursive:
            budget.walk(layer, now, 2)
            made = _merged(made, layer, now)
        else:
            costs.charge_call((layer,), {})
            made.update(layer)
    return made


def _flat(layers: tuple[Any, ...]) -> list[Any]:
    """Return the mappings, including those in lists."""
    return [one for layer in layers for one in (layer if isinstance(layer, list) else [layer])]


def _merged(below: dict[str, Any], above: Mapping[str, Any], now: budget.Budget) -> dict[str, Any]:
    now.spend(4 * (len(below) + len(above)))
    now.make(40 * (len(below) + len(above)))
    made = dict(below)
    for key, value in above.items():
        under = made.get(key)
        both = isinstance(under, dict) and isinstance(value, Mapping)
        made[key] = _merged(under, value, now) if both else value  # type: ignore[arg-type]
    return made


def zipped(*lists: interfaces.Anything) -> list[list[Any]]:
    """Return a list of the first items, one of the second items, and so on, up to the end of the shortest list."""
    if not all(isinstance(one, Iterable) and not isinstance(one, str | jinja2.Undefined) for one in lists):
        raise errors.RenderError("zip takes lists; write | default([], true) for one that may be absent or null")
    now, made = budget.now(), []
    for items in zip(*lists, strict=False):
        now.spend(4 + len(items))
        now.make(64 + 8 * len(items))
        made.append(list(items))
    return made


def dict2items(value: interfaces.Anything, key_name: str = "key", value_name: str = "value") -> list[dict[str, Any]]:
    """Return the entries of a mapping as a list of mappings."""
    found = _checked(value, Mapping, "dict2items", "a mapping")
    budget.now().spend(5 * len(found))
    budget.now().make(250 * len(found))
    return [{key_name: key, value_name: one} for key, one in found.items()]


def items2dict(value: interfaces.Anything, key_name: str = "key", value_name: str = "value") -> dict[str, Any]:
    """Return a mapping from a list of mappings that have a key and a value."""
    found = _checked(value, list, "items2dict", "a list")
    budget.now().spend(5 * len(found))
    budget.now().make(100 * len(found))
    if not all(isinstance(one, Mapping) and key_name in one and value_name in one for one in found):
        raise errors.RenderError("items2dict takes mappings with key and value; else set key_name and value_name")
    if not all(isinstance(one[key_name], str) for one in found):
        raise errors.RenderError("items2dict: the keys must be strings")
    return {one[key_name]: one[value_name] for one in found}


def _checked(value: interfaces.Anything, kind: type, name: str, what: str) -> interfaces.Anything:
    if not isinstance(value, kind):
        hint = "; write | default(..., true)" if value is None else ""
        raise errors.RenderError(f"{name} takes {what}, but got {values.kind_of(value)}{hint}")
    return value


def basename(value: interfaces.Anything) -> str:
    """Return the last part of a path."""
    return posixpath.basename(_text(value))


def dirname(value: interfaces.Anything) -> str:
    """Return a path without its last part."""
    return posixpath.dirname(_text(value))


def splitext(value: interfaces.Anything) -> list[str]:
    """Return a path without its ending, and the ending."""
    return list(posixpath.splitext(_text(value)))


def _text(value: interfaces.Anything) -> str:
    return str.__str__(filters.string(value))


def regex_replace(  # noqa: PLR0917 - Ansible's signature
    value: interfaces.Anything,
    pattern: str = "",
    replacement: str = "",
    ignorecase: bool = False,
    multiline: bool = False,
    count: int = 0,
) -> str:
    r"""Return the text with matches replaced; ``\1`` and ``\g<name>`` in the replacement stand for groups."""
    text, compiled = _text(value), _pattern(pattern, ignorecase, multiline)
    parts, end, length = [], 0, 0
    pieces = _template(_text(replacement), compiled)
    now = budget.now()
    for number, match in enumerate(compiled.find_all(text)):
        if count and number >= count:
            break
        start, stop = match.spans[0]
        made = "".join([one if isinstance(one, str) else match.group(one) for one in pieces])
        now.spend(10 + 2 * len(pieces))
        length += start - end + len(made)
        filters.check_length("regex_replace", length)
        now.make(4 * (start - end + len(made)))
        parts += [text[end:start], made]
        end = stop
    return "".join([*parts, text[end:]])


def regex_search(
    value: interfaces.Anything,
    pattern: str,
    *groups: str,
    ignorecase: bool = False,
    multiline: bool = False,
) -> interfaces.Anything:
    r"""Return the first match, or null if nothing matches; with groups (``\1``), a list of their matches."""
    compiled = _pattern(pattern, ignorecase, multiline)
    wanted = [_template(_text(group), compiled) for group in groups]
    found = compiled.find(_text(value))
    if found is None:
        return None
    made = ["".join([one if isinstance(one, str) else found.group(one) for one in pieces]) for pieces in wanted]
    return made or found.group(0)


def regex_findall(
    value: interfaces.Anything,
    pattern: str,
    ignorecase: bool = False,
    multiline: bool = False,
) -> list[Any]:
    """Return all matches; for a pattern with groups, the matches of the groups."""
    compiled = _pattern(pattern, ignorecase, multiline)
    now, found = budget.now(), []
    for match in compiled.find_all(_text(value)):
        now.spend(10)
        now.make(64 * compiled.groups)
        groups = [match.group(number) for number in range(1, compiled.groups)]
        found.append(groups if len(groups) > 1 else groups[0] if groups else match.group(0))
    return found


def matches(value: interfaces.Anything, pattern: str, ignorecase: bool = False, multiline: bool = False) -> bool:
    """Report whether a text begins with a match of a pattern."""
    return _pattern(pattern, ignorecase, multiline).find(_text(value), only_here=True) is not None


def searches(value: interfaces.Anything, pattern: str, ignorecase: bool = False, multiline: bool = False) -> bool:
    """Report whether a pattern matches anywhere in a text."""
    return _pattern(pattern, ignorecase, multiline).find(_text(value)) is not None


def _pattern(
    pattern: interfaces.Anything, ignore_case: interfaces.Anything, many_lines: interfaces.Anything
) -> regex.Pattern:
    return regex.compiled(_text(pattern), ignore_case=bool(ignore_case), many_lines=bool(many_lines))


def _template(replacement: str, pattern: regex.Pattern) -> list[str | int]:
    """Split a replacement into texts and numbers of groups."""
    budget.now().spend(4 * len(replacement))
    pieces: list[str | int] = []
    end = 0
    for match in _ESCAPE.finditer(replacement):
        name, number, other = match.groups()
        pieces.append(replacement[end : match.start()])
        end = match.end()
        if other is not None:
            pieces.append(_LETTERS.get(other, other))
            continue
        group = int(number or name) if (number or name).isascii() and (number or name).isdecimal() else -1
        group = pattern.names.get(name, group)
        if not 0 <= group < pattern.groups:
            raise errors.RenderError("the replacement names a group that the regular expression does not have")
        pieces.append(group)
    return [*pieces, replacement[end:]]


def version(
    value: interfaces.Anything, other: interfaces.Anything, operator: str = "==", **_: interfaces.Anything
) -> bool:
    """Compare a version with another one: numbers by value, words alphabetically."""
    if operator not in _OPERATORS:
        raise errors.RenderError(f"version compares with one of {', '.join(dict.fromkeys(_OPERATORS.values()))}")
    left, right = _parts(value), _parts(other)
    sign = (left > right) - (left < right)
    return {"==": sign == 0, "!=": sign != 0, "<": sign < 0, "<=": sign <= 0, ">": sign > 0, ">=": sign >= 0}[
        _OPERATORS[operator]
    ]


def _parts(value: interfaces.Anything) -> list[tuple[int, int, str]]:
    """Return the parts to compare a version by, without zeros at the end; a word comes before all numbers."""
    text = _text(value).strip().lower().removeprefix("v").partition("+")[0]
    if len(text) > _MAX_VERSION:
        raise errors.RenderError(f"version takes at most {_MAX_VERSION} characters")
    budget.now().spend(100)
    parts = [(1, int(part), "") if part.isdigit() else (-1, 0, part) for part in _PART.findall(text)]
    while parts and parts[-1][:2] == (1, 0):
        parts.pop()
    return [*parts, (0, 0, "")]


FILTERS: Final = {
    **digests.FILTERS,
    **parsing.FILTERS,
    "bool": as_bool,
    "ternary": ternary,
    "quote": quote,
    "combine": combine,
    "zip": zipped,
    "dict2items": dict2items,
    "items2dict": items2dict,
    "basename": basename,
    "dirname": dirname,
    "splitext": splitext,
    "regex_replace": regex_replace,
    "regex_search": regex_search,
    "regex_findall": regex_findall,
}
TESTS: Final = {"version": version, "match": matches, "search": searches}
FOR_FRAGMENTS: Final = frozenset({"indent", "trim", "default", "d", "string", *digests.FILTERS})
"""Filters that accept the output of a macro, include, call or set block."""
