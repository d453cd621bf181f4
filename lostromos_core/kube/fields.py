"""Fields: what a manager owns (``fieldsV1``) against what we want, and ways into objects.

Source of the format: https://github.com/kubernetes-sigs/structured-merge-diff/blob/master/fieldpath/serialize-pe.go
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[([^\]]*)\]|\.")
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
    at = 0
    while found := _STEP.match(field, at):
        at = found.end()
        if key := _key(field[found.start() :].removeprefix("."), data):
            step: str | int = key
            at = found.start() + field[found.start() :].index(key) + len(key)
        else:
            step = found[1] or _step(found[2] or "", data)
        path.append(step)
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            break
    return path


def _key(field: str, data: Any) -> str:  # noqa: ANN401 - any JSON value
    """The longest key of a mapping that the rest of a field begins with: keys may have dots."""
    if not isinstance(data, dict):
        return ""
    fitting = (
        key for key in data if key and field.startswith(key) and field[len(key) : len(key) + 1] in {"", ".", "["}
    )
    return max(fitting, key=len, default="")


def lost(fields: Mapping[str, Any], body: Any, path: Sequence[str | int]) -> list[list[str | int]]:  # noqa: ANN401 - any JSON value
    """Ways to what a manager does not own of a body, at and below a path; the path itself, if it owns nothing there."""
    if not owns(fields, body, path):
        return [list(path)]
    for step in path:
        fields = (_item(fields, body[step]) if isinstance(step, int) else fields.get(f"f:{step}")) or {}
        body = body[step]
    return [[*path, *below] for below in _lost_below(fields, body)]


def _lost_below(fields: Mapping[str, Any], body: Any) -> Iterator[list[str | int]]:  # noqa: ANN401 - any JSON value
    """Ways below a field, of which a manager owns something, to what it does not own."""
    if not fields or not isinstance(body, dict | list):
        return
    for step, value in body.items() if isinstance(body, dict) else enumerate(body):
        below = fields.get(f"f:{step}") if isinstance(body, dict) else _item(fields, value)
        if below is None:
            yield [step]
        else:
            for deeper in _lost_below(below, value):
                yield [step, *deeper]


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
    written: Mapping[str, Any] | None = fields.get("v:" + json.dumps(item, separators=(",", ":"), ensure_ascii=False))
    if written is not None:
        return written
    # Go writes some characters and numbers in another way.
    values = ((json.loads(name[2:]), below) for name, below in fields.items() if name.startswith("v:"))
    return next(
        (below for value, below in values if value == item and isinstance(value, bool) == isinstance(item, bool)), None
    )


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
