"""Values as Helm gets them, their digest, and their shape."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson

from lostromos_core import errors
from lostromos_core.kube.transport import encoding

if TYPE_CHECKING:
    from collections.abc import Mapping


def encode(values: Mapping[str, Any]) -> bytes:
    """Values as JSON that is YAML too: no text of theirs can become structure. Raises RenderError."""
    try:
        text = orjson.dumps(values, option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONEncodeError, TypeError) as error:
        raise errors.RenderError(f"the values cannot be written as JSON: {error}") from error
    return encoding.safe_in_yaml(text)


def digest(*parts: bytes) -> str:
    """One digest of all that a release is made of; fits into a label."""
    summed = hashlib.sha256()
    for part in parts:
        summed.update(len(part).to_bytes(8, "big") + part)
    return summed.hexdigest()[:40]


def shape(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Keys and types without the texts and numbers: what decides whether a chart makes valid objects, mostly.

    Of items of a list that are alike, one counts.
    """
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        shapes = {orjson.dumps(one, option=orjson.OPT_SORT_KEYS): one for one in map(shape, value)}
        return list(shapes.values())
    return type(value).__name__
