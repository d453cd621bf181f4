"""Encode values for Helm, and compute their digest and their shape."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson

from lostromos_core import errors
from lostromos_core.kube.transport import encoding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lostromos_core import interfaces


def encode(values: Mapping[str, Any]) -> bytes:
    """Return values as JSON that is also safe YAML: no text in them can become structure. Raises RenderError."""
    try:
        text = orjson.dumps(values, option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONEncodeError, TypeError) as error:
        raise errors.RenderError(f"the values cannot be written as JSON: {error}") from error
    return encoding.safe_in_yaml(text)


def digest(*parts: bytes) -> str:
    """Return one digest of all inputs of a release; it fits into a label."""
    summed = hashlib.sha256()
    for part in parts:
        summed.update(len(part).to_bytes(8, "big") + part)
    return summed.hexdigest()[:40]


def shape(value: interfaces.Json) -> interfaces.Json:
    """Return keys and types without texts and numbers, which mostly decide whether a chart makes valid objects.

    List items of the same shape count once.
    """
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        shapes = {orjson.dumps(one, option=orjson.OPT_SORT_KEYS): one for one in map(shape, value)}
        return list(shapes.values())
    return type(value).__name__
