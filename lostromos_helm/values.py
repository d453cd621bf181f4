"""Values: their digest, their shape, and whether they fit the chart's schema, said with the field of the resource."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jsonschema
import orjson
import referencing
import referencing.exceptions

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lostromos_core import interfaces


def encode(values: Mapping[str, Any]) -> bytes:
    """Values as JSON, which is YAML too: no text of theirs can become structure. Raises RenderError."""
    try:
        return orjson.dumps(values, option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONEncodeError, TypeError) as error:
        raise errors.RenderError(f"the values cannot be written as JSON: {error}") from error


def digest(*parts: bytes) -> str:
    """One digest of all that a release is made of; fits into a label."""
    summed = hashlib.sha256()
    for part in parts:
        summed.update(len(part).to_bytes(8, "big") + part)
    return summed.hexdigest()[:40]


def shape(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Keys and types without the texts and numbers: what decides whether a chart makes valid objects, mostly."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value).__name__


def coalesce(defaults: Any, values: Any) -> Any:  # noqa: ANN401 - any JSON values
    """Values over a chart's defaults, as Helm lays them: mappings are merged, and null removes a default."""
    if not isinstance(defaults, Mapping) or not isinstance(values, Mapping):
        return values
    merged = {key: value for key, value in defaults.items() if key not in values}
    for key, value in values.items():
        if value is not None:
            merged[key] = coalesce(defaults.get(key), value)
        elif key not in defaults:
            merged[key] = None
    return merged


def check(schema: Mapping[str, Any], values: Mapping[str, Any], rendered: interfaces.Values) -> None:
    """Raise RenderError for the first value, from the top, that does not fit a schema."""
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        validator = kind(schema, registry=referencing.Registry())
        found = sorted(validator.iter_errors(values), key=lambda error: [str(step) for step in error.absolute_path])
    except (jsonschema.SchemaError, referencing.exceptions.Unresolvable):
        return  # what we cannot read is left to Helm
    if not found:
        return
    first = found[0]
    path: Sequence[str | int] = tuple(first.absolute_path)
    where = ".".join(str(step) for step in path) or "(the whole)"
    place = rendered.locate(path)
    origin = f" (from {place.expression})" if place and place.expression else ""
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    said = errors.shorten(_say(first), 200)
    message = f"values.{where}: {said}{origin}{more}; see the chart's values.schema.json"
    raise errors.RenderError(message, place=str(place) if place and place.file else "")


def _say(error: Any) -> str:  # noqa: ANN401 - a ValidationError
    """What is wrong, without the value itself: it may be a secret."""
    match error.validator:
        case "type":
            wanted = error.validator_value
            return f"must be of type {' or '.join(wanted) if isinstance(wanted, list) else wanted}"
        case "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            return f"needs {', '.join(missing)}"
        case "enum":
            return f"must be one of {', '.join(map(str, error.validator_value))}"
        case "additionalProperties":
            known = (error.schema.get("properties") or {}).keys()
            extra = [key for key in error.instance if key not in known]
            return f"has unknown keys: {', '.join(extra)}{errors.nearest(extra[0], list(known)) if extra else ''}"
        case rule:
            return f"breaks the rule {rule}: {error.validator_value}"
