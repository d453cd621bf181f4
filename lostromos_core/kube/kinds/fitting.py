"""Reduce a value to what a schema accepts: definitions may use the names of our fields for other purposes.

Source of the rules: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lostromos_core import interfaces

UNFIT: Final = object()
"""Returned instead of a value if no part of it fits."""
OPEN: Final = "x-kubernetes-preserve-unknown-fields"
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


def fields(values: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that the schema of a mapping accepts, each reduced to what fits."""
    properties, extra = schema.get("properties") or {}, schema.get("additionalProperties")
    found = {}
    for key, value in values.items():
        below = properties.get(key, extra)
        if isinstance(below, dict):
            found[key] = fit(value, below)
        elif schema.get(OPEN) or below is True:
            found[key] = value
    return {key: value for key, value in found.items() if value is not UNFIT}


def fit(value: interfaces.Json, schema: Mapping[str, Any]) -> interfaces.Json:
    """Return the part of a value that a schema accepts, or UNFIT."""
    if not _is_of_type(value, schema) or ("enum" in schema and value not in schema["enum"]):
        return UNFIT
    if isinstance(value, dict):
        kept = fields(value, schema)
        lacks = not set(schema.get("required") or ()) <= kept.keys()
        return UNFIT if lacks or (value and not kept) else kept
    if isinstance(value, list):
        return _listed(value, schema)
    if isinstance(value, str):
        return _text(value, schema)
    return value


def _is_of_type(value: interfaces.Json, schema: Mapping[str, Any]) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        return isinstance(value, int | str) and not isinstance(value, bool)
    wanted = schema.get("type")
    types = _TYPES.get(str(wanted))
    if types is None:
        return True
    return isinstance(value, types) and (wanted == "boolean" or not isinstance(value, bool))


def _listed(value: list[Any], schema: Mapping[str, Any]) -> interfaces.Json:
    """Return the items that fit, up to the allowed number, or UNFIT."""
    items = schema.get("items") or {}
    kept = [found for item in value if (found := fit(item, items)) is not UNFIT][: schema.get("maxItems")]
    return UNFIT if (value and not kept) or len(kept) < (schema.get("minItems") or 0) else kept


def _text(value: str, schema: Mapping[str, Any]) -> interfaces.Json:
    """Return a text, truncated if it is too long; UNFIT if a pattern or format forbids that."""
    longest = schema.get("maxLength")
    if longest is None or len(value) <= longest:
        return value
    return UNFIT if "pattern" in schema or "format" in schema else f"{value[: longest - 1]}…"[:longest]
