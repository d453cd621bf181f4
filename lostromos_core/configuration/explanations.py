"""Explain configuration errors in the terms of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pydantic

    from lostromos_core import interfaces

_TEXTS: Final = {
    "dict_type": "expected a mapping",
    "model_type": "expected a mapping",
    "list_type": "expected a list",
    "tuple_type": "expected a list",
    "path_type": "expected a path",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "int_type": "expected an integer",
    "int_parsing": "expected an integer",
    "int_from_float": "expected an integer",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "finite_number": "expected a finite number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "too_short": "needs {min_length} or more entries",
    "too_long": "may have {max_length} entries at most",
}
"""Messages by pydantic's error type."""


def explain(error: interfaces.Anything, model: type[pydantic.BaseModel]) -> str:
    """Return one sentence that explains one of pydantic's errors."""
    kind, message = error["type"], str(error["msg"])
    if kind == "extra_forbidden":
        known = _known_keys(model.model_json_schema(by_alias=True), error["loc"][:-1])
        there = f" (available: {', '.join(sorted(known))})" if known else ""
        return f"unknown key{errors.nearest(str(error['loc'][-1]), known)}{there}"
    if kind == "missing":
        return "this key is required"
    if kind == "string_type":
        hint = "; put it in quotes" if isinstance(error["input"], int | float) else ""
        return f"expected a string{hint}"
    if kind in _TEXTS:
        return _TEXTS[kind].format_map(error.get("ctx") or {})
    return message.removeprefix("Value error, ").removeprefix("Assertion failed, ")


def _known_keys(schema: Mapping[str, Any], location: Sequence[str | int]) -> list[str]:
    """Return the keys that a JSON Schema defines at a location."""
    definitions = schema.get("$defs") or {}
    here = [schema]
    for step in location:
        here = [below for part in here for below in _below(part, step, definitions)]
    return [key for part in here for key in part.get("properties") or ()]


def _below(schema: Mapping[str, Any], step: str | int, definitions: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    below = schema.get("items") if isinstance(step, int) else (schema.get("properties") or {}).get(step)
    found = [below] if isinstance(below, dict) else []
    found += [part for one in found for part in one.get("anyOf") or one.get("oneOf") or ()]
    return [definitions.get(str(part.get("$ref", "")).rpartition("/")[2], part) for part in found]
