"""Charge for filters, tests, methods and operators, by the size of their input, before they begin.

What a template does with single values is charged by its own text (see ``codegen``). This module charges for what
depends on data: the items of lists, the characters of texts, all levels of compared values.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import TYPE_CHECKING, Any, Final, NoReturn

from lostromos_core import errors
from lostromos_core.templates.data import budget, tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lostromos_core import interfaces

ITEMS: Final = (list, tuple, dict, set, frozenset, range, KeysView, ValuesView, ItemsView)
NUMBERS: Final = frozenset({int, bool, float, types.NoneType})
REFERENCE: Final = 8
"""Bytes of an item in a list."""
_ENTRY: Final = 40
"""Bytes of an entry in a mapping."""
_PART: Final = 64
"""Bytes of a text that is split off another one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """Hold the steps per item and per eight characters; ``deep`` if all levels count, ``sorts`` if it sorts items."""

    item: int = 10
    characters: int = 1
    deep: bool = False
    sorts: bool = False


FREE: Final = Cost(0, 0)
_TEXT: Final = Cost(deep=True)
COSTS: Final = {
    **dict.fromkeys(("length", "count", "first", "last", "default", "d", "abs", "int", "float", "round", "attr"), FREE),
    **dict.fromkeys(("items", "replace", "join", "sum", "to_yaml", "to_json", "tojson", "to_toml", "sha256"), FREE),
    **dict.fromkeys(("to_nice_yaml", "to_nice_json", "sha1", "checksum", "hash", "from_yaml", "from_json"), FREE),
    **dict.fromkeys(("bool", "ternary", "quote", "combine", "zip", "dict2items", "items2dict"), FREE),
    **dict.fromkeys(("indent", "string", "b64encode", "b64decode"), Cost(0, 1)),
    **dict.fromkeys(("capitalize", "lower", "upper", "trim", "truncate", "e", "escape", "forceescape", "safe"), _TEXT),
    **dict.fromkeys(("map", "select", "reject", "selectattr", "rejectattr"), Cost(30, 8)),
    **dict.fromkeys(("sort", "dictsort", "groupby", "unique", "min", "max"), Cost(40, 16, deep=True, sorts=True)),
    **dict.fromkeys(("list", "reverse", "slice"), Cost(2, 8)),
    "batch": Cost(5, 8),
    "title": Cost(deep=True, characters=16),
    "wordcount": Cost(deep=True, characters=8),
    "striptags": Cost(deep=True, characters=16),
    "urlencode": Cost(deep=True, characters=16),
    "xmlattr": Cost(item=40, deep=True, characters=16),
    "wordwrap": Cost(deep=True, characters=24),
    "urlize": Cost(deep=True, characters=48),
    "pprint": Cost(item=200, deep=True, characters=80),
    "filesizeformat": _TEXT,
}
"""Costs of filters; free ones charge for themselves, or take time that does not depend on data."""
COMPARING: Final = {
    "eq", "equalto", "==", "ne", "!=", "gt", "greaterthan", ">", "ge", ">=", "lt", "lessthan", "<", "le", "<=",
}  # fmt: skip
_TEXT_TESTS: Final = frozenset({"lower", "upper"})


def guard_filter(name: str, function: Callable[..., Any], *, for_fragments: bool) -> Callable[..., Any]:
    """Return a filter that is charged for, and that refuses fragments, unless made for them: tokens are not text."""
    cost = COSTS.get(name, Cost())

    def check(values: Iterable[Any]) -> None:
        if not for_fragments and any(value.__class__ is tokens.Fragment for value in values):
            tokens.refuse(f"given to the filter {name}")

    @functools.wraps(function)
    def free(*args: interfaces.Anything, **kwargs: interfaces.Anything) -> interfaces.Anything:
        check((*args, *kwargs.values()) if kwargs else args)
        return function(*args, **kwargs)

    @functools.wraps(function)
    def guarded(*args: interfaces.Anything, **kwargs: interfaces.Anything) -> interfaces.Anything:
        if not kwargs and all(map(_is_small, args)):
            return function(*args)
        check((*args, *kwargs.values()))
        now = budget.now()
        args = tuple([_charge(value, cost, now) for value in args])
        _charge_attributes(args, kwargs, cost, now)
        found = function(*args, **kwargs)
        _charge_result(found, now)
        return found

    return free if cost is FREE else guarded


def _is_small(value: interfaces.Anything) -> bool:
    kind = value.__class__
    return len(value) <= budget.SHORT if kind is str else kind in NUMBERS or kind in _PASSED


_PASSED: set[type] = set()
"""Types that Jinja2 passes to filters in addition to values: environment, context, evaluation context."""


def ignore(*kinds: type) -> None:
    """Exempt arguments of these types from charges."""
    _PASSED.update(kinds)


def _charge(value: interfaces.Anything, cost: Cost, now: budget.Budget) -> interfaces.Anything:
    """Charge for an argument and return it; one of unknown length is counted while it is read."""
    if value.__class__ in _PASSED:
        return value
    if isinstance(value, str):
        length = str.__len__(value)
        now.at_once(cost.characters * length >> 3)
    elif isinstance(value, ITEMS):
        length = len(value)
        now.spend(cost.item * length)
        if cost.sorts:
            now.at_once(length * length.bit_length() >> 1)
        if cost.deep and not isinstance(value, range):
            budget.walk(value, now, 10 if not cost.sorts else length.bit_length())
    elif isinstance(value, Iterator):
        return _counted(value, now, cost.item)
    return value


def _counted(items: Iterator[Any], now: budget.Budget, cost: int) -> Iterator[Any]:
    for item in items:
        now.spend(cost)
        yield item


def _charge_attributes(args: tuple[Any, ...], kwargs: dict[str, Any], cost: Cost, now: budget.Budget) -> None:
    """Charge for the parts of an attribute path, which are followed for each item."""
    steps = sum(value.count(".") for value in (*args[1:], *kwargs.values()) if value.__class__ is str)
    if steps:
        now.spend(steps * cost.item * max((len(value) for value in args if isinstance(value, ITEMS)), default=1000))


def _charge_result(found: interfaces.Anything, now: budget.Budget) -> None:
    if isinstance(found, str):
        length = str.__len__(found)
        if length > budget.SHORT:
            now.make(length if str.isascii(found) else length * 4)
    elif isinstance(found, list | tuple):
        now.make(len(found) * REFERENCE)
    elif isinstance(found, dict):
        now.make(len(found) * _ENTRY)


def guard_test(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a test that is charged for."""
    if name == "in":
        return contains
    if name not in COMPARING and name not in _TEXT_TESTS:
        return function

    @functools.wraps(function)
    def guarded(value: interfaces.Anything, *args: interfaces.Anything) -> interfaces.Anything:
        if name in _TEXT_TESTS:
            _charge(value, _TEXT, budget.now())
        elif args:
            charge_comparison(value, args[0])
        return function(value, *args)

    return guarded


def contains(value: interfaces.Anything, where: interfaces.Anything) -> bool:
    """Report whether a list, a mapping or a text contains a value."""
    kind = where.__class__
    if kind is not str or len(where) > budget.SHORT:
        now = budget.now()
        if isinstance(value, list | tuple | dict):
            budget.walk(value, now)
            if isinstance(where, ITEMS):
                budget.walk(where, now)
        elif isinstance(where, str):
            now.at_once(str.__len__(where) >> 6)
        elif isinstance(where, list | tuple | ValuesView):
            now.at_once(len(where) >> 2)
        elif isinstance(where, Iterator):
            where = _counted(where, now, 1)
    return value in where


def charge_comparison(left: interfaces.Anything, right: interfaces.Anything) -> None:
    """Charge for comparing two values; it is free unless both are long texts, or lists or mappings."""
    if isinstance(left, str):
        if isinstance(right, str) and str.__len__(left) > budget.SHORT:
            budget.now().at_once(str.__len__(left) >> 10)
    elif isinstance(left, list | tuple | dict) and isinstance(right, list | tuple | dict):
        now = budget.now()
        budget.walk(left, now)
        budget.walk(right, now)


def as_key(value: interfaces.Anything) -> interfaces.Anything:
    """Return a value that is about to be looked up; a tuple is charged for at all levels."""
    if isinstance(value, tuple):
        budget.walk(value, budget.now())
    return value


_PADDING: Final = frozenset({"ljust", "rjust", "center", "zfill", "expandtabs", "replace", "join", "translate"})
"""Methods of texts whose result can be much larger than the text; two of them are available as filters."""
_NUMBER_BYTES: Final = frozenset({"to_bytes", "from_bytes"})
_SPLITTING: Final = frozenset({"split", "rsplit", "splitlines"})
_QUICK: Final = frozenset({"get", "items", "keys", "values"})


def charge_method(function: types.BuiltinFunctionType | types.BuiltinMethodType, args: tuple[Any, ...]) -> None:
    """Charge for a method of a plain value; raises RenderError if its argument determines the size of its result."""
    owner, name = function.__self__, function.__name__
    for value in args:
        as_key(value)
    if isinstance(owner, str | bytes | bytearray):
        if name in _PADDING:
            refuse_method(name)
        if len(owner) > budget.SHORT:
            now = budget.now()
            now.at_once(len(owner) >> 3)
            if name in _SPLITTING:
                now.make(_PART * _pieces(owner, name, args))
    elif name in _NUMBER_BYTES:
        refuse_method(name)
    elif isinstance(owner, list | tuple) and args:
        contains(args[0], owner)
    elif name not in _QUICK:
        charge_call((owner, *args), {})


def _pieces(owner: interfaces.Anything, name: str, args: tuple[Any, ...]) -> int:
    """Return the maximum number of pieces that a text is split into."""
    if name != "splitlines" and args and isinstance(args[0], type(owner)) and len(args[0]):
        return int(owner.count(args[0])) + 1
    return len(owner) // 2 + 1


_FREE_ARGUMENTS: Final = 8
"""Size of the arguments of a call up to which they are not charged: the call itself costs more."""


def charge_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Charge for a function that copies or compares its arguments."""
    size = len(kwargs)
    for value in args:
        if isinstance(value, ITEMS):
            size += len(value)
    if size > _FREE_ARGUMENTS:
        now = budget.now()
        now.spend(size)
        now.make(size * _ENTRY)


def refuse_method(name: str) -> NoReturn:
    """Raise the RenderError for a method that can make any amount of data from nothing."""
    way_out = (
        f"use the filter | {name}" if name in {"join", "replace"} else "write the text with {{ ... }} in it, or use ~"
    )
    msg = f"the method {name} is not available in templates; {way_out}"
    raise errors.RenderError(msg)
