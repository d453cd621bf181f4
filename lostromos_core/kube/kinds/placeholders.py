"""Build the smallest value that fits a schema, to fill a required field that has not been written yet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lostromos_core import interfaces

NEUTRAL: Final = ("", "Unknown", "None", "Pending", False, 0)
"""Neutral values to choose from if a definition lists the allowed ones."""
_TEXTS: Final = ("", "Unknown", "None", "unknown", "none", "0")
_TIMES: Final = {"date-time": "1970-01-01T00:00:00Z", "date": "1970-01-01", "byte": ""}
"""Neutral values of formats: the epoch, and no bytes."""
_EMPTY: Final[Mapping[str, Any]] = {"boolean": False, "array": []}


class NothingFits(ValueError):  # noqa: N818 - a result, not a failure
    """Raised when no neutral value is known to fit."""


def smallest(schema: Mapping[str, Any]) -> interfaces.Json:
    """Return a neutral value that a schema accepts; raises NothingFits."""
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        for value in NEUTRAL:
            if any(value == one and type(value) is type(one) for one in schema["enum"]):
                return value
        raise NothingFits
    kind = "integer" if schema.get("x-kubernetes-int-or-string") else schema.get("type", "object")
    if kind == "object":
        return _object(schema)
    if kind == "string":
        return _string(schema)
    if kind in _EMPTY and not schema.get("minItems"):
        return _EMPTY[kind]
    return _number(schema)


def _object(schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    if schema.get("minProperties") and not schema.get("required"):
        raise NothingFits
    return {name: smallest(properties.get(name) or {}) for name in schema.get("required") or ()}


def _string(schema: Mapping[str, Any]) -> str:
    """Return a neutral text; raises NothingFits, also for formats that are not listed here."""
    form = schema.get("format") or ""
    for text in (_TIMES[form],) if form in _TIMES else () if form else _TEXTS:
        shortest, longest = schema.get("minLength") or 0, schema.get("maxLength", len(text))
        if shortest <= len(text) <= longest and _matches(schema.get("pattern"), text):
            return text
    raise NothingFits


def _matches(pattern: str | None, text: str) -> bool:
    """Return whether a short text matches a pattern, as far as Python supports it; the API server decides."""
    try:
        return not pattern or re.search(pattern, text) is not None
    except re.error:
        return False


def _number(schema: Mapping[str, Any]) -> int:
    least = max(0, int(schema.get("minimum") or 0))
    numeric = schema.get("x-kubernetes-int-or-string") or schema.get("type") in {"integer", "number"}
    if (
        not numeric
        or schema.get("exclusiveMinimum")
        or schema.get("multipleOf")
        or least > schema.get("maximum", least)
    ):
        raise NothingFits
    return least
