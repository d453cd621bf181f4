"""Read YAML as Helm does, which differs from YAML 1.2.

Helm reads YAML 1.1 with the exceptions of Go's library: ``yes`` is a boolean and ``0644`` an octal number, but
``12:30:45`` is a string. A test compares the results with the real Helm.
Source: https://pkg.go.dev/sigs.k8s.io/yaml/goyaml.v2, resolve.go
"""

from __future__ import annotations

import base64
import ctypes
import math
import re
from typing import TYPE_CHECKING, Any, Final, final

import yaml

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lostromos_core import interfaces

_INTEGER: Final = re.compile(r"[-+]?(0[bB][01]+|0[oO]?[0-7]+|0[xX][0-9a-fA-F]+|[1-9][0-9]*|0)")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Final[Mapping[str, bool | None]] = {
    **dict.fromkeys(("true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_NO_JSON: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_TAG: Final = "tag:yaml.org,2002:"
_TYPES: Final[Mapping[str, frozenset[type]]] = {
    f"{_TAG}int": frozenset({int}),
    f"{_TAG}float": frozenset({float, int}),
    f"{_TAG}bool": frozenset({bool}),
    f"{_TAG}null": frozenset({type(None)}),
}


def read(text: str) -> interfaces.Json:
    """Read one document; raises ValueError or yaml.YAMLError."""
    node = yaml.compose(text, Loader=_Loader)
    return None if node is None else _Builder().build(node)


_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The loader in C, if it is available."""
_UNFINISHED: Final = object()
_PLAIN: Final = "plain"
"""Tag of a scalar that has neither quotes nor a tag."""


class _Loader(_Base):  # type: ignore[misc]
    """Load YAML, leaving plain scalars to this module's ``resolve``."""

    def resolve(self, kind: type[yaml.Node], value: str, implicit: interfaces.Anything) -> str:  # noqa: ARG002 - the signature of PyYAML
        return _PLAIN if kind is yaml.ScalarNode and implicit[0] else f"{_TAG}str"


@final
class _Builder:
    """Build plain data from nodes; the value of an anchor is built once."""

    def __init__(self) -> None:
        self._built: dict[yaml.Node, Any] = {}

    def build(self, node: yaml.Node) -> interfaces.Json:
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if node not in self._built:
            self._built[node] = _UNFINISHED
            is_mapping = isinstance(node, yaml.MappingNode)
            self._built[node] = self._mapping(node) if is_mapping else [self.build(item) for item in node.value]
        if self._built[node] is _UNFINISHED:
            raise ValueError("an anchor's value contains itself")
        return self._built[node]

    def _mapping(self, node: interfaces.Anything) -> dict[str, Any]:
        """Build a mapping from top to bottom, as Go's library does: the last of equal keys wins, even a merged one."""
        found: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag == f"{_TAG}merge" or (key.tag == _PLAIN and key.value == "<<"):
                for merged in self._merged(value):
                    found.update(merged)
            else:
                found[_key(self.build(key))] = self.build(value)
        return found

    def _merged(self, node: yaml.Node) -> Iterator[dict[str, Any]]:
        """Yield the mappings merged by ``<<``, the first of a sequence last."""
        found = self.build(node)
        for one in reversed(found) if isinstance(found, list) else [found]:
            if not isinstance(one, dict):
                raise ValueError("<< takes a mapping, or a sequence of them")  # noqa: TRY004 - the input is invalid
            yield one


def _scalar(node: yaml.ScalarNode) -> interfaces.Anything:
    text = str(node.value)
    if node.tag == _PLAIN:
        return resolve(text)
    if node.tag == f"{_TAG}binary":
        return base64.b64decode(text).decode()
    if node.tag not in _TYPES:
        return text
    value = resolve(text)
    if type(value) not in _TYPES[node.tag]:
        raise ValueError(f"{errors.shorten(text, 50)!r} is no {node.tag.removeprefix(_TAG)}")
    return value


def resolve(text: str) -> interfaces.Anything:
    """Resolve a plain scalar as Go's library does; raises ValueError for numbers that JSON cannot represent."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _NO_JSON.fullmatch(text):
        raise ValueError(f"{text} cannot be written as JSON")
    plain = text if text[0] == "." else text.replace("_", "")
    if _INTEGER.fullmatch(plain):
        digits = plain.lstrip("+-")
        octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
        number = int(plain, 8 if octal else 0)
        if -(1 << 63) <= number < 1 << (63 if plain[0] == "+" else 64):
            return number
    if _FLOAT.fullmatch(plain) and math.isfinite(float(plain)):
        return float(plain)
    return text


def _key(value: interfaces.Json) -> str:
    """Return a mapping's key as a JSON key. Source: https://pkg.go.dev/sigs.k8s.io/yaml, convertToJSONableObject."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _short(value)
        case _:
            raise ValueError(f"a key cannot be {'null' if value is None else 'a mapping or a sequence'}")


def _short(value: float) -> str:
    """Format a number with the fewest digits of a 32-bit float, as Go does (``strconv.FormatFloat``, ``'g'``)."""
    single = ctypes.c_float(value).value
    if math.isinf(single):
        return ".inf" if single > 0 else "-.inf"
    digits = next(count for count in range(9) if ctypes.c_float(float(f"{single:.{count}e}")).value == single)
    exponent = int(f"{single:.{digits}e}".partition("e")[2])
    plain = -4 <= exponent < 6  # noqa: PLR2004 - Go's own limits
    return f"{single:.{max(digits - exponent, 0)}f}" if plain else f"{single:.{digits}e}"
