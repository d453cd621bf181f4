"""Extract the part of an object that a field manager owns, with its values.

Source of the format: https://github.com/kubernetes-sigs/structured-merge-diff/blob/master/fieldpath/serialize-pe.go
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lostromos_core import interfaces


def select(fields: Mapping[str, Any], value: interfaces.Json) -> interfaces.Json:
    """Return the part of a value that a set of fields (``fieldsV1``) covers; a leaf is covered as a whole."""
    below = {step: deeper for step, deeper in fields.items() if step != "."}
    if not below:
        return value
    if isinstance(value, dict):
        return {key: select(below[f"f:{key}"], item) for key, item in value.items() if f"f:{key}" in below}
    if isinstance(value, list):
        found = ((_entry(below, item, index), item) for index, item in enumerate(value))
        return [_with_keys(step, below[step], item) for step, item in found if step]
    return value


def _entry(fields: Mapping[str, Any], item: interfaces.Json, index: int) -> str:
    """Return the step that leads to a list item; empty if no step does."""
    for step in fields:
        kind, _, text = step.partition(":")
        if kind == "k" and isinstance(item, dict):
            if all(item.get(key) == wanted for key, wanted in json.loads(text).items()):
                return step
        elif kind == "v":
            if json.loads(text) == item:
                return step
        elif kind == "i" and text == str(index):
            return step
    return ""


def _with_keys(step: str, fields: Mapping[str, Any], item: interfaces.Json) -> interfaces.Json:
    """Return the covered part of a list item, with the keys that identify it."""
    kept = select(fields, item)
    return {**json.loads(step[2:]), **kept} if step.startswith("k:") and isinstance(kept, dict) else kept


def of(entries: interfaces.Anything, manager: str, subresource: str = "") -> Mapping[str, Any]:
    """Return the fields of an object, or of a subresource, that a manager applied, as ``fieldsV1``; empty if none."""
    for entry in entries or ():
        who = entry.get("manager"), entry.get("operation"), entry.get("subresource") or ""
        if who == (manager, "Apply", subresource):
            found: Mapping[str, Any] = entry.get("fieldsV1") or {}
            return found
    return {}


def without(fields: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """Return ``fieldsV1`` without some of its top-level fields."""
    return {step: below for step, below in fields.items() if step.removeprefix("f:") not in names}
