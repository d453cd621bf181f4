"""Provide the filters that templates have in addition to Jinja2's own."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final, Literal

import jinja2
import jinja2.filters
import tomli_w
import yaml

from lostromos_core import errors
from lostromos_core.configuration import scalars
from lostromos_core.templates.data import budget, marked, tokens, values
from lostromos_core.templates.filters import operator_costs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lostromos_core import interfaces


class _Dumper(yaml.CSafeDumper):
    """Write YAML that every reader reads alike: strings are quoted wherever a reader could see another type."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        """Write equal values out twice: aliases are hard to read."""
        return True


def _represent_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    style = None if scalars.is_plain_string(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _represent_text)


def to_yaml(value: interfaces.Json, indent: int = 2, **_: interfaces.Json) -> str:
    """Return a value as a YAML document, block style, keys in order; Ansible's other arguments are ignored."""
    return _yaml(value, "to_yaml", indent)


def to_nice_yaml(value: interfaces.Json, indent: int = 4, **_: interfaces.Json) -> str:
    """Return a value as YAML, like ``to_yaml``."""
    return _yaml(value, "to_nice_yaml", indent)


def _yaml(value: interfaces.Json, maker: str, indent: int) -> str:
    data = plain_data(value, item=250)
    indent = limited(maker, indent, 100)
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**31 - 1, indent=indent)
    return marked.made(text.removesuffix("...\n"), maker, data)


def to_json(value: interfaces.Json, indent: int | None = None, **_: interfaces.Json) -> str:
    """Return a value as JSON, on one line unless ``indent`` is specified; Ansible's other arguments are ignored."""
    return _json(value, "to_json", indent)


def to_nice_json(value: interfaces.Json, indent: int = 4, **_: interfaces.Json) -> str:
    """Return a value as JSON, like ``to_json``, on several lines."""
    return _json(value, "to_nice_json", indent)


def _json(value: interfaces.Json, maker: str, indent: int | None) -> str:
    if indent is not None:
        limited(maker, indent, 100)
    separators = (",", ": ") if indent else (", ", ": ")
    data = plain_data(value, item=1 if indent is None else 20)
    text = json.dumps(data, indent=indent, ensure_ascii=False, allow_nan=False, separators=separators)
    return marked.made(text, maker, data)


def to_toml(value: interfaces.Anything) -> str:
    """Return a mapping as a TOML document; TOML has no null."""
    data = plain_data(value, item=60)
    budget.now().spend(2 * budget.weigh(data))
    if not isinstance(data, dict):
        msg = f"to_toml takes a mapping, but got {values.kind_of(data)}"
        raise errors.RenderError(msg)
    try:
        return tomli_w.dumps(data)
    except (TypeError, ValueError) as error:
        msg = f"to_toml: {error}"
        raise errors.RenderError(msg) from error


def b64encode(value: object) -> str:
    """Return the UTF-8 bytes of a text in base64, as required in the ``data`` of a Secret."""
    return base64.b64encode(utf8(value, "b64encode")).decode()


def b64decode(value: object) -> str:
    """Return the text whose UTF-8 bytes are encoded in base64."""
    try:
        return base64.b64decode(utf8(value, "b64decode"), validate=True).decode()
    except ValueError as error:
        msg = "b64decode takes base64 of UTF-8 text, but this is not"
        raise errors.RenderError(msg) from error


def indent(value: interfaces.Anything, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    """Indent like Jinja2; a fragment is YAML, so its lines stay together and are moved by spaces only."""
    by = len(width) if isinstance(width, str) else limited("indent", width, 100_000)
    if isinstance(value, tokens.Fragment):
        if isinstance(width, str) and width.strip(" "):
            msg = "the output of a macro, include, call or set block is indented by a number of spaces, not by text"
            raise errors.RenderError(msg)
        return value.indented(limited("indent", by, 1_000), first=first)
    lines = values.to_text(value).split("\n")
    check_length("indent", sum(map(len, lines)) + len(lines) * by)
    space = width if isinstance(width, str) else " " * width
    moved = [space + line if line or blank else line for line in lines]
    text = "\n".join(moved if first else [lines[0], *moved[1:]])
    if len(lines) == 1 or space.strip(" "):
        return text
    laid = text if first else marked.laid(value)
    return value.with_text(text, laid) if isinstance(value, marked.Text) else marked.made(text, "indent", None, laid)


def trim(value: interfaces.Anything, chars: str | None = None) -> str:
    """Trim like Jinja2; a fragment loses the blank lines around it, and a text made by a filter keeps its origin."""
    if isinstance(value, tokens.Fragment):
        return value.strip(chars)
    text = values.to_text(value)
    if isinstance(value, marked.Text):
        return value.with_text(str.__str__(value).strip(chars), value.laid.strip(chars))
    return text.strip(chars)


def center(value: object, width: int = 80) -> str:
    """Center like Jinja2, up to a width of 1,000 characters."""
    return values.to_text(value).center(limited("center", width, 1_000))


def string(value: interfaces.Json) -> str:
    """Return a scalar as text, as it would be written inside a string: ``true``, not ``True``."""
    return value if isinstance(value, tokens.Fragment) else str.__str__(values.to_text(value))


@jinja2.pass_environment
def join(
    environment: jinja2.Environment, value: interfaces.Anything, d: str = "", attribute: str | int | None = None
) -> str:
    """Join like Jinja2; each item is text, as it would be written inside a string."""
    now = budget.now()
    parts = [string(item) for item in _each(environment, value, attribute, now)]
    if any(isinstance(part, tokens.Fragment) for part in parts):
        tokens.refuse("joined")
    check_length("join", sum(map(len, parts)) + len(values.to_text(d)) * len(parts))
    return values.to_text(d).join(parts)


@jinja2.pass_environment
def total(
    environment: jinja2.Environment,
    iterable: interfaces.Anything,
    attribute: str | int | None = None,
    start: interfaces.Anything = 0,
) -> interfaces.Anything:
    """Sum like Jinja2; each addition is charged, since it copies lists."""
    found = start
    for item in _each(environment, iterable, attribute, budget.now()):
        operator_costs.charge_operator("+", found, item)
        found = found + item
    return found


def _each(
    environment: jinja2.Environment, items: Iterable[Any], attribute: str | int | None, now: budget.Budget
) -> Iterator[Any]:
    """Yield the items, or an attribute of each, and charge for them."""
    path = str(attribute).count(".") if attribute is not None else 0
    getter = jinja2.filters.make_attrgetter(environment, attribute) if attribute is not None else None
    for item in items:
        now.spend(10 + 40 * path)
        yield getter(item) if getter else item


def replace(value: interfaces.Anything, old: str, new: str, count: int | None = None) -> str:
    """Replace like Jinja2."""
    text, old, new = string(value), values.to_text(old), values.to_text(new)
    if isinstance(text, tokens.Fragment):
        tokens.refuse("taken apart")
    budget.now().at_once(len(text) >> 3)
    found = text.count(old) if count is None else min(text.count(old), count)
    check_length("replace", len(text) + found * len(new))
    return text.replace(old, new, -1 if count is None else count)


def refuse_format(*_: object, **__: object) -> str:
    """Refuse formatting, which can make any amount of text from nothing."""
    msg = "the filter format is not available in templates; write the text with {{ ... }} in it, or use ~"
    raise errors.RenderError(msg)


def as_int(value: interfaces.Anything, default: int = 0, base: int = 10) -> int:
    """Convert like Jinja2; a text with more digits than Python reads is an error, not the default."""
    if isinstance(value, str) and len(value) > _DIGITS:
        msg = f"int takes text of at most {_DIGITS:,} characters"
        raise errors.RenderError(msg)
    return jinja2.filters.do_int(value, default, base)


def rounded(value: float, precision: int = 0, method: Literal["common", "ceil", "floor"] = "common") -> float:
    """Round like Jinja2, up to a precision of 300 digits."""
    return jinja2.filters.do_round(value, limited("round", precision, 300), method)


def batch(value: Iterable[Any], linecount: int, fill_with: interfaces.Anything = None) -> Iterator[list[Any]]:
    """Batch like Jinja2, up to 10,000 items in a batch."""
    return jinja2.filters.do_batch(value, limited("batch", linecount, 10_000), fill_with)


def slices(value: Iterable[Any], slices: int, fill_with: interfaces.Anything = None) -> Iterator[list[Any]]:
    """Slice like Jinja2, up to 10,000 slices."""
    return jinja2.filters.sync_do_slice(value, limited("slice", slices, 10_000), fill_with)  # type: ignore[arg-type]


def limited(name: str, value: interfaces.Anything, most: int) -> int:
    """Return a number that sets how much a filter does; raises RenderError if it is not a number, or too large."""
    if isinstance(value, bool) or not isinstance(value, int) or not -most <= value <= most:
        found = "one out of range" if isinstance(value, int) and not isinstance(value, bool) else values.kind_of(value)
        msg = f"{name} takes a whole number up to {most:,}, but got {found}"
        raise errors.RenderError(msg)
    return value


def plain_data(value: interfaces.Json, *, item: int) -> interfaces.Json:
    """Return a value as plain data, about to be made into text, and charge ``item`` steps for each item."""
    data = values.plain(value)
    now, weight = budget.now(), budget.weigh(data)
    if isinstance(data, list | dict):
        budget.walk(data, now, item)
    check_length("the filter", weight)
    now.write(weight)
    return data


def check_length(name: str, length: int) -> None:
    """Charge for a text that is about to be made; raises RenderError if it would be too large."""
    if length > values.MAX_STRING:
        operator_costs.refuse_size(name)
    if length > budget.SHORT:
        now = budget.now()
        now.at_once(length >> 4)
        now.make(length * 2)


def utf8(value: object, name: str) -> bytes:
    """Return the UTF-8 bytes of a text; raises RenderError if the value is not a text."""
    if isinstance(value, tokens.Fragment) or not isinstance(value, str):
        what = "the output of a fragment" if isinstance(value, tokens.Fragment) else values.kind_of(value)
        msg = f"{name} takes a string, but got {what}"
        raise errors.RenderError(msg)
    budget.now().at_once(len(value) >> 4)
    return value.encode("utf-8", "surrogatepass")


_DIGITS: Final = 4_300
"""Digits that Python reads at most: https://docs.python.org/3/library/stdtypes.html#int-max-str-digits"""
UNWANTED: Final = frozenset({"random"})
"""Filters of Jinja2 that are of no use in a pure rendering."""
FILTERS = {
    "to_yaml": to_yaml,
    "to_nice_yaml": to_nice_yaml,
    "to_json": to_json,
    "to_nice_json": to_nice_json,
    "tojson": to_json,
    "to_toml": to_toml,
    "b64encode": b64encode,
    "b64decode": b64decode,
    "indent": indent,
    "trim": trim,
    "center": center,
    "int": as_int,
    "round": rounded,
    "batch": batch,
    "slice": slices,
    "string": string,
    "join": join,
    "sum": total,
    "replace": replace,
    "format": refuse_format,
}
