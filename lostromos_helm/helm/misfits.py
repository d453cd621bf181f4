"""Explain values that do not match a chart's schema in our own words, with the field of the resource.

Helm up to 3.17 and later versions use different libraries. Both name the path of a value. Some messages repeat the
value itself, which may be a secret, so only messages of a known form are used, without the value.
Sources: https://github.com/xeipuuv/gojsonschema/blob/master/locales.go,
https://github.com/santhosh-tekuri/jsonschema/blob/boon/kind/kind.go
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, final

from lostromos_core import errors, interfaces

if TYPE_CHECKING:
    from collections.abc import Iterator

Keys = Callable[[Sequence[str | int]], Sequence[str]]
"""Function that returns the keys that a schema defines at a path."""
_HEAD: Final = re.compile(r"values don't meet the specifications of the schema", re.IGNORECASE)
_SECTION: Final = re.compile(r"(\S.*):")
_POINTED: Final = re.compile(r"- at '((?:[^'\\]|\\.)*)': (.*)")
_DOTTED: Final = re.compile(r"- ([^:]*): (.*)")
_ROOT: Final = "(root)"
_QUOTED: Final = re.compile(r"'((?:[^'\\]|\\.)*)'|([^',\s]+)")
_BACKSLASH: Final = re.compile(r"\\(.)")
_SEE: Final = "see the chart's values.schema.json"


@final
@dataclasses.dataclass(frozen=True, slots=True)
class _Violation:
    """Describe a value that does not match: the chart whose schema it violates, the value's path, and the cause.

    ``missing`` and ``unknown`` are keys.
    """

    chart: str
    path: tuple[str | int, ...]
    why: str
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class MisfitError(errors.LostromosError):
    """Raised when the values do not match the chart's schema; retrying cannot help."""


def are_meant(said: str) -> bool:
    """Return whether Helm's error is about a schema."""
    return _HEAD.search(said) is not None


def explain(
    said: str, rendered: interfaces.Values | None, chart: str, keys: Keys | None = None
) -> errors.RenderError | None:
    """Return an error that names the first bad value in path order; None if the message is about something else.

    ``chart``: the name of the release's own chart; messages of other charts are about their part of the values.
    ``keys`` returns the keys that its schema defines.
    """
    found = _HEAD.search(said)
    if found is None:
        return None
    values = rendered.values if rendered else {}
    # Helm's own order is random, and a message that changes would be written again and again.
    violations = sorted(
        _violations(said[found.end() :], values, chart),
        key=lambda one: ([str(step) for step in one.path], not one.missing, one.missing, one.why),
    )
    if not violations:
        return errors.RenderError(f"the values violate the chart's schema; {_SEE}")
    first = violations[0]
    missing = sorted(name for one in violations if one.path == first.path for name in one.missing)
    why = f"needs {', '.join(missing)}" if first.missing else first.why
    if first.unknown and keys and first.chart == chart:
        why += errors.nearest(first.unknown[0], keys(first.path))
    others = len({(one.path, one.why) for one in violations}) - 1
    where = ".".join(map(str, first.path)) or "(the whole)"
    place = rendered.locate(first.path) if rendered else None
    origin = f" (from {place.expression})" if place and place.expression else ""
    more = f", and {others} more" if others else ""
    message = f"values.{errors.shorten(where, 200)}: {errors.shorten(why, 200)}{origin}{more}; {_SEE}"
    return errors.RenderError(message, place=str(place) if place and place.file else "")


def _violations(text: str, values: Mapping[str, Any], chart: str) -> Iterator[_Violation]:
    """Yield the violations listed below the heading, without the nested lines that give more detail."""
    part: tuple[str, ...] = ()
    name = chart
    for line in text.splitlines():
        if pointed := _POINTED.fullmatch(line):
            yield _violation(name, (*part, *_steps(pointed[1], _within(values, part))), pointed[2])
        elif dotted := _DOTTED.fullmatch(line):
            yield _violation(name, (*part, *_split(dotted[1], _within(values, part))), dotted[2])
        elif section := _SECTION.fullmatch(line):
            name = section[1]
            part = () if not chart or name == chart else (name,)


def _violation(chart: str, path: tuple[str | int, ...], text: str) -> _Violation:
    for pattern, say in _SAYINGS:
        if found := pattern.fullmatch(text):
            return _Violation(chart, path, say(found))
    for pattern in _UNKNOWN:
        if found := pattern.fullmatch(text):
            names = tuple(_names(found[1]))
            return _Violation(chart, path, f"has unknown keys: {', '.join(names)}", unknown=names)
    for pattern in _MISSING:
        if found := pattern.fullmatch(text):
            return _Violation(chart, path, "needs more", tuple(_names(found[1])))
    return _Violation(chart, path, "does not fit")


def _within(values: interfaces.Json, path: Sequence[str | int]) -> interfaces.Json:
    """Return the value at a path, or None if the path does not exist."""
    for step in path:
        try:
            values = values[step]
        except (KeyError, IndexError, TypeError):
            return None
    return values


def _steps(pointer: str, values: interfaces.Json) -> Iterator[str | int]:
    """Yield the steps of a JSON pointer into values. Source: RFC 6901."""
    for part in _bare(pointer).split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        step = int(name) if isinstance(values, list) and name.isdecimal() else name
        yield step
        values = _within(values, [step])


def _split(field: str, values: interfaces.Json) -> Iterator[str | int]:
    """Yield the steps of a dotted path into values; a key may contain dots as well."""
    while field and field != _ROOT:
        keys = values if isinstance(values, Mapping) else ()
        fitting = [key for key in keys if field == key or field.startswith(f"{key}.")]
        name = max(fitting, key=len, default=field.partition(".")[0])
        step = int(name) if isinstance(values, list) and name.isdecimal() else name
        yield step
        field, values = field[len(name) + 1 :], _within(values, [step])


def _names(text: str) -> Iterator[str]:
    """Yield the names in a list; they may be quoted."""
    for quoted, bare in _QUOTED.findall(text):
        yield _bare(quoted) or bare


def _bare(text: str) -> str:
    """Return a quoted text without the backslashes."""
    return _BACKSLASH.sub(r"\1", text)


def _listed(text: str) -> str:
    return ", ".join(_names(text))


_TYPE: Final = "(?:null|boolean|number|integer|string|array|object)"
_SAYINGS: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...]] = tuple(
    (re.compile(pattern), say)
    for pattern, say in (
        # later than Helm 3.17
        (rf"got {_TYPE}, want ({_TYPE}(?: or {_TYPE})*)", lambda found: f"must be of type {found[1]}"),
        (r"value must be one of (.*)", lambda found: f"must be one of {_listed(found[1])}"),
        (r"value must be (.*)", lambda found: f"must be {_listed(found[1])}"),
        (
            r"'(?:[^'\\]|\\.)*' does not match pattern '((?:[^'\\]|\\.)*)'",
            lambda found: f"breaks the rule pattern: {_bare(found[1])}",
        ),
        (r"(\w+): got [^\s]+, want ([^\s]+)", lambda found: f"breaks the rule {found[1]}: {found[2]}"),
        (r"'(anyOf|allOf|oneOf|not)' failed.*", lambda found: f"breaks the rule {found[1]}"),
        (r"items at (\d+) and (\d+) are equal", lambda _: "breaks the rule uniqueItems"),
        (r"invalid propertyName .*", lambda _: "breaks the rule propertyNames"),
        (
            r"properties (.*) required, if (.*) exists",
            lambda found: f"needs {_listed(found[1])} beside {_listed(found[2])}",
        ),
        (r".* is not valid ([\w-]+): .*", lambda found: f"breaks the rule format: {found[1]}"),
        (r"false schema|False always fails validation", lambda _: "must not be given"),
        # Helm 3.17
        (rf"Invalid type\. Expected: ({_TYPE}), given: {_TYPE}", lambda found: f"must be of type {found[1]}"),
        (
            rf"Invalid type\. Expected: \[({_TYPE}(?:,{_TYPE})*)\], given: {_TYPE}",
            lambda found: f"must be of type {found[1].replace(',', ' or ')}",
        ),
        (r".* must be one of the following: (.*)", lambda found: f"must be one of {found[1].replace(chr(34), '')}"),
        (r".* does not match: (.*)", lambda found: f"must be {found[1]}"),
        (r"Does not match (pattern|format) '(.*)'", lambda found: f"breaks the rule {found[1]}: {found[2]}"),
        (
            r"Must (?:not )?validate [\w ]+\((\w+)\)",
            lambda found: f"breaks the rule {found[1]}",
        ),
        (r"array items\[[\d,]+\] must be unique", lambda _: "breaks the rule uniqueItems"),
        (r"Property name of .*", lambda _: "breaks the rule propertyNames"),
        (
            r"((?:Must be|String length must be|Array must|Must have) [\w ./-]+)",
            lambda found: f"{found[1][0].lower()}{found[1][1:]}",
        ),
    )
)  # fmt: skip
_UNKNOWN: Final = tuple(
    map(re.compile, (r"additional properties (.*) not allowed", r"Additional property (.*) is not allowed"))
)
_MISSING: Final = tuple(map(re.compile, (r"missing propert(?:y|ies) (.*)", r"([^\s]+) is required")))
