"""Fields: what a manager owns (``fieldsV1``) against what we want, and ways into objects.

Source of the format: https://github.com/kubernetes-sigs/structured-merge-diff/blob/master/fieldpath/serialize-pe.go
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[([^\]]*)\]")
_SELECTOR: Final = re.compile(r'(\w+)=(?:"([^"]*)"|([^,\]]*))')
_IDENTITY: Final = frozenset({"apiVersion", "kind", "status"})
_NAMES: Final = frozenset({"name", "namespace", "uid", "resourceVersion", "ownerReferences"})


def owns_all(fields: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Whether a manager owns every field of a body. What nobody can own (its name) does not count."""
    metadata = {key: value for key, value in body["metadata"].items() if key not in _NAMES}
    wanted = {key: value for key, value in body.items() if key not in _IDENTITY} | {"metadata": metadata}
    return _covers(fields, wanted)


def owns(fields: Mapping[str, Any], body: Any, path: Sequence[str | int]) -> bool:  # noqa: ANN401 - any JSON value
    """Whether a manager owns the field at a path into a body."""
    for step in path:
        if not fields:
            return True
        try:
            body = body[step]
        except (KeyError, IndexError, TypeError):
            return False
        below = _item(fields, body) if isinstance(step, int) else fields.get(f"f:{step}")
        if below is None:
            return False
        fields = below
    return True


def parse(field: str, data: Any) -> list[str | int]:  # noqa: ANN401 - any JSON value
    """``spec.containers[name="c"].image`` as a way into ``data``; ends where the data does."""
    path: list[str | int] = []
    for name, bracket in _STEP.findall(field):
        step = name or _step(bracket, data)
        path.append(step)
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            break
    return path


def point(pointer: str, data: Any) -> list[str | int] | None:  # noqa: ANN401 - any JSON value
    """A JSON pointer (RFC 6901) as a way into ``data``; None if there is nothing at its end."""
    path: list[str | int] = []
    for text in pointer.split("/")[1:]:
        name = text.replace("~1", "/").replace("~0", "~")
        step = int(name) if isinstance(data, list) and name.isdecimal() else name
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
        path.append(step)
    return path


def without(body: Any, paths: Sequence[Sequence[str | int]]) -> Any:  # noqa: ANN401 - any JSON value
    """A body without the fields at some paths; what is not touched is shared with the body."""
    if not paths:
        return body
    last = {path[0] for path in paths if len(path) == 1}
    deeper = {step: [path[1:] for path in paths if len(path) > 1 and path[0] == step] for step in {p[0] for p in paths}}
    if isinstance(body, dict):
        return {key: without(value, deeper.get(key, ())) for key, value in body.items() if key not in last}
    if isinstance(body, list):
        return [without(item, deeper.get(index, ())) for index, item in enumerate(body) if index not in last]
    return body


def _covers(fields: Mapping[str, Any], wanted: Any) -> bool:  # noqa: ANN401 - any JSON value
    if not fields:  # a leaf, or a list or mapping that is owned as a whole
        return True
    if isinstance(wanted, dict):
        return all(
            value is None or ((below := fields.get(f"f:{key}")) is not None and _covers(below, value))
            for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return all((below := _item(fields, item)) is not None and _covers(below, item) for item in wanted)
    return True


def _item(fields: Mapping[str, Any], item: Any) -> Mapping[str, Any] | None:  # noqa: ANN401 - any JSON value
    """The entry of a list's item; its keys may be more than ours, for the server adds those that have defaults."""
    if isinstance(item, dict):
        for name, below in fields.items():
            if name.startswith("k:") and all(
                item.get(key, value) == value for key, value in json.loads(name[2:]).items()
            ):
                found: Mapping[str, Any] = below
                return found
        return None
    return fields.get("v:" + json.dumps(item, separators=(",", ":"), ensure_ascii=False))


def _step(bracket: str, data: Any) -> str | int:  # noqa: ANN401 - any JSON value
    """What stands in brackets: an index, a key, or a selection of list items by their fields."""
    if bracket.isdecimal():
        return int(bracket)
    wanted = [(key, quoted or bare) for key, quoted, bare in _SELECTOR.findall(bracket)]
    if not wanted or not isinstance(data, list):
        return bracket
    for index, item in enumerate(data):
        if isinstance(item, dict) and all(str(item.get(key, value)) == value for key, value in wanted):
            return index
    return bracket
