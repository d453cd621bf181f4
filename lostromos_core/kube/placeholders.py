"""The smallest value that fits a schema: it stands in a field that is required and that nobody has written yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

NEUTRAL: Final = ("", "Unknown", "None", "Pending", False, 0)
"""Values that claim nothing, where a definition lists what is allowed."""
_EMPTY: Final[Mapping[str, Any]] = {"boolean": False, "array": []}


class NothingFits(ValueError):  # noqa: N818 - a fact, and no failure
    """No value can be told that fits and claims nothing."""


def smallest(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value that says nothing and that a schema accepts; raises NothingFits."""
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
    if schema.get("pattern") or schema.get("format"):
        raise NothingFits
    text = "" if not schema.get("minLength") else "Unknown"
    if not (schema.get("minLength") or 0) <= len(text) <= schema.get("maxLength", len(text)):
        raise NothingFits
    return text


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
