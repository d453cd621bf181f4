"""Compare the fields that a manager owns (``fieldsV1``) with the desired ones, and resolve paths into objects.

Source of the format: https://github.com/kubernetes-sigs/structured-merge-diff/blob/master/fieldpath/serialize-pe.go
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from lostromos_core.kube.kinds import list_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lostromos_core import interfaces

_STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[([^\]]*)\]|\.")
_SELECTOR: Final = re.compile(r'(\w+)=(?:"([^"]*)"|([^,\]]*))')
_IDENTITY: Final = frozenset({"apiVersion", "kind", "status"})
_NAMES: Final = frozenset({"name", "namespace", "uid", "resourceVersion", "ownerReferences"})


def owns_all(
    fields: Mapping[str, Any], body: Mapping[str, Any], defaults: list_keys.Defaults = list_keys.BUILT_IN
) -> bool:
    """Return whether a manager owns every field of a body. Fields that cannot be owned (its name) do not count.

    ``defaults`` are those of list item keys.
    """
    metadata = {key: value for key, value in body["metadata"].items() if key not in _NAMES}
    wanted = {key: value for key, value in body.items() if key not in _IDENTITY} | {"metadata": metadata}
    return _covers(fields, wanted, defaults)


def owns(
    fields: Mapping[str, Any],
    body: interfaces.Json,
    path: Sequence[str | int],
    defaults: list_keys.Defaults = list_keys.BUILT_IN,
) -> bool:
    """Return whether a manager owns the field at a path into a body."""
    return steps(fields, body, path, defaults) is not None


def steps(
    fields: Mapping[str, Any],
    body: interfaces.Json,
    path: Sequence[str | int],
    defaults: list_keys.Defaults = list_keys.BUILT_IN,
) -> tuple[str, ...] | None:
    """Return the steps by which a set names the field at a path into a body; None if the field is not in the set."""
    found: list[str] = []
    for step in path:
        if not fields:
            break
        try:
            body = body[step]
        except (KeyError, IndexError, TypeError):
            return None
        name = find_step(fields, body, defaults.keys) if isinstance(step, int) else f"f:{step}"
        if name is None or name not in fields:
            return None
        found.append(name)
        fields = fields[name]
        defaults = defaults.in_items() if isinstance(step, int) else defaults.at(str(step))
    return tuple(found)


def parse(field: str, data: interfaces.Json) -> list[str | int]:
    """Return ``spec.containers[name="c"].image`` as a path into ``data``; the path ends where the data ends."""
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


def _key(field: str, data: interfaces.Json) -> str:
    """Return the longest key of a mapping that the rest of a field begins with, since keys may contain dots."""
    if not isinstance(data, dict):
        return ""
    fitting = (
        key for key in data if key and field.startswith(key) and field[len(key) : len(key) + 1] in {"", ".", "["}
    )
    return max(fitting, key=len, default="")


def lost(
    fields: Mapping[str, Any],
    body: interfaces.Json,
    path: Sequence[str | int],
    defaults: list_keys.Defaults = list_keys.BUILT_IN,
) -> list[list[str | int]]:
    """Return paths to fields not owned by a manager, at and below a path; just that path if it owns none of them."""
    if not owns(fields, body, path, defaults):
        return [list(path)]
    for step in path:
        if isinstance(step, int):
            fields, defaults = find_item(fields, body[step], defaults.keys) or {}, defaults.in_items()
        else:
            fields, defaults = fields.get(f"f:{step}") or {}, defaults.at(step)
        body = body[step]
    return [[*path, *below] for below in _lost_below(fields, body, defaults)]


def _lost_below(
    fields: Mapping[str, Any], body: interfaces.Json, defaults: list_keys.Defaults
) -> Iterator[list[str | int]]:
    """Yield the relative paths that a manager does not own, below a field that it partly owns."""
    if not fields or not isinstance(body, dict | list):
        return
    for step, value in body.items() if isinstance(body, dict) else enumerate(body):
        is_item = isinstance(step, int)
        below = find_item(fields, value, defaults.keys) if is_item else fields.get(f"f:{step}")
        if below is None:
            yield [step]
        else:
            for deeper in _lost_below(below, value, defaults.in_items() if is_item else defaults.at(str(step))):
                yield [step, *deeper]


def point(pointer: str, data: interfaces.Json) -> list[str | int] | None:
    """Return a JSON pointer (RFC 6901) as a path into ``data``; None if its target does not exist."""
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


def nulls(body: interfaces.Json) -> Iterator[list[str | int]]:
    """Yield the paths to nulls in the mappings of a body: an apply keeps the live values in their place."""
    if isinstance(body, dict):
        for name, value in body.items():
            if value is None:
                yield [name]
            else:
                yield from ([name, *deeper] for deeper in nulls(value))
    elif isinstance(body, list):
        for index, item in enumerate(body):
            yield from ([index, *deeper] for deeper in nulls(item))


def without(body: interfaces.Json, paths: Sequence[Sequence[str | int]]) -> interfaces.Json:
    """Return a body without the fields at some paths; unaffected parts are shared with the original."""
    if not paths:
        return body
    last = {path[0] for path in paths if len(path) == 1}
    deeper = {step: [path[1:] for path in paths if len(path) > 1 and path[0] == step] for step in {p[0] for p in paths}}
    if isinstance(body, dict):
        return {key: without(value, deeper.get(key, ())) for key, value in body.items() if key not in last}
    if isinstance(body, list):
        return [without(item, deeper.get(index, ())) for index, item in enumerate(body) if index not in last]
    return body


def _covers(fields: Mapping[str, Any], wanted: interfaces.Json, defaults: list_keys.Defaults) -> bool:
    if not fields:  # a leaf, or a list or mapping that is owned as a whole
        return True
    if isinstance(wanted, dict):
        return all(
            value is None or ((below := fields.get(f"f:{key}")) is not None and _covers(below, value, defaults.at(key)))
            for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        deeper = defaults.in_items()
        return all(
            (below := find_item(fields, item, defaults.keys)) is not None and _covers(below, item, deeper)
            for item in wanted
        )
    return True


def find_item(
    fields: Mapping[str, Any], item: interfaces.Json, defaults: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Return the set of a list item, None if it has no set; ``defaults`` are those of its keys.

    A key that the item lacks, and that has no known default, matches any value.
    """
    step = find_step(fields, item, defaults)
    return None if step is None else fields[step]


def find_step(fields: Mapping[str, Any], item: interfaces.Json, defaults: Mapping[str, Any]) -> str | None:
    """Return the step by which a set names a list item (``k:{...}`` or ``v:...``); see ``find_item``."""
    if isinstance(item, dict):
        for name in fields:
            if name.startswith("k:") and fits(item, json.loads(name[2:]), defaults):
                return name
        return None
    written = "v:" + json.dumps(item, separators=(",", ":"), ensure_ascii=False)
    if written in fields:
        return written
    # Go encodes some characters and numbers differently.
    values = ((json.loads(name[2:]), name) for name in fields if name.startswith("v:"))
    return next(
        (name for value, name in values if value == item and isinstance(value, bool) == isinstance(item, bool)), None
    )


def fits(item: Mapping[str, Any], keys: Mapping[str, Any], defaults: Mapping[str, Any]) -> bool:
    """Return whether a list item is the one with these keys."""
    return all(item.get(key, defaults.get(key, value)) == value for key, value in keys.items())


def _step(bracket: str, data: interfaces.Json) -> str | int:
    """Return the step for the text in brackets: an index, a key, or the index of the list item that it selects."""
    if bracket.isdecimal():
        return int(bracket)
    wanted = [(key, quoted or bare) for key, quoted, bare in _SELECTOR.findall(bracket)]
    if not wanted or not isinstance(data, list):
        return bracket
    fitting = [
        (-sum(key in item for key, _ in wanted), index)
        for index, item in enumerate(data)
        if isinstance(item, dict) and all(str(item.get(key, value)) == value for key, value in wanted)
    ]
    return min(fitting)[1] if fitting else bracket  # the item that contains most of the keys
