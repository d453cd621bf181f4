"""Values: their digest, their shape, and whether they fit the chart's schema, said with the field of the resource."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lostromos_core import interfaces
    from lostromos_helm import charts


_ONLY_JSON: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that a text of JSON may hold as they are, and a text of YAML may not, or takes for ends of lines."""


def encode(values: Mapping[str, Any]) -> bytes:
    """Values as JSON that is YAML too: no text of theirs can become structure. Raises RenderError."""
    try:
        text = orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode()
    except (orjson.JSONEncodeError, TypeError) as error:
        raise errors.RenderError(f"the values cannot be written as JSON: {error}") from error
    return _ONLY_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


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


def check_for(chart: charts.Chart, rendered: interfaces.Values) -> None:
    """Raise RenderError if values, over a chart's defaults, do not fit its schema, if it has one."""
    if chart.schema is not None:
        check(chart.schema, coalesce(chart.defaults, rendered.values), rendered)


def check(schema: Mapping[str, Any], values: Mapping[str, Any], rendered: interfaces.Values) -> None:
    """Raise RenderError for the first value, from the top, that does not fit a schema."""
    found = _violations(schema, values)
    if found:
        found = _violations(schema, _without_default_nulls(values, rendered.values))
    if not found:
        return
    first = found[0]
    path: Sequence[str | int] = tuple(first.absolute_path)
    where = ".".join(str(step) for step in path) or "(the whole)"
    place = rendered.locate(path)
    origin = f" (from {place.expression})" if place and place.expression else ""
    others = len({(tuple(error.absolute_path), error.validator) for error in found}) - 1
    more = f", and {others} more" if others else ""
    said = errors.shorten(_say(first), 200)
    message = f"values.{where}: {said}{origin}{more}; see the chart's values.schema.json"
    raise errors.RenderError(message, place=str(place) if place and place.file else "")


def _violations(schema: Any, values: Mapping[str, Any]) -> list[Any]:  # noqa: ANN401 - whatever the chart has
    """The ValidationErrors, from the top; none of a schema that we cannot read, which is left to Helm."""
    import jsonschema  # noqa: PLC0415 - it takes a tenth of a second, and few charts have a schema
    import referencing.exceptions  # noqa: PLC0415

    try:
        kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        kind.check_schema(schema)
        found = kind(schema, registry=referencing.Registry()).iter_errors(values)
        return sorted(found, key=lambda error: [str(step) for step in error.absolute_path])
    except (jsonschema.SchemaError, referencing.exceptions.Unresolvable, re.error, RecursionError):
        return []


def _without_default_nulls(values: Any, written: Any) -> Any:  # noqa: ANN401 - any JSON values
    """Values without the nulls of a chart's defaults: Helm 4 leaves them out, Helm 3 does not, and we take either."""
    if not isinstance(values, Mapping):
        return values
    own = written if isinstance(written, Mapping) else {}
    return {
        key: _without_default_nulls(value, own.get(key))
        for key, value in values.items()
        if value is not None or key in own
    }


def _say(error: Any) -> str:  # noqa: ANN401 - a ValidationError
    """What is wrong, without the value itself: it may be a secret."""
    match error.validator:
        case "type":
            wanted = error.validator_value
            return f"must be of type {' or '.join(map(str, wanted)) if isinstance(wanted, list) else wanted}"
        case "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            return f"needs {', '.join(missing)}"
        case "enum":
            return f"must be one of {', '.join(map(str, error.validator_value))}"
        case "additionalProperties":
            known = error.schema.get("properties") or {}
            patterns = error.schema.get("patternProperties") or {}
            extra = [key for key in error.instance if key not in known and not any(re.search(p, key) for p in patterns)]
            return f"has unknown keys: {', '.join(extra)}{errors.nearest(extra[0], list(known)) if extra else ''}"
        case rule:
            return f"breaks the rule {rule}: {error.validator_value}"
