"""Record the last applied fields on the object itself, so that later processes know them, too.

A manager that changes a field takes it over from ours, so ``managedFields`` do not show whether it was ours before.
Each field is recorded as a 24-bit hash of its path: an object with 100 fields carries 400 characters. The values are
not recorded.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lostromos_core import interfaces

MOST: Final = 1_500
"""Maximum number of recorded fields: of an object with more, none are recorded."""
_SIZE: Final = 3
_KEYS: Final = (
    "name", "port", "containerPort", "mountPath", "devicePath", "ip", "topologyKey", "uid", "type", "key", "protocol",
)  # fmt: skip
"""Fields that identify list items, in built-in kinds and in most others."""
_NOT_OURS: Final = frozenset({"apiVersion", "kind", "status"})


def of(body: Mapping[str, Any]) -> str:
    """Return the record of a body; empty if it has too many fields."""
    found: set[int] = set()
    _collect({name: value for name, value in body.items() if name not in _NOT_OURS}, 0, found)
    if len(found) > MOST:
        return ""
    packed = b"".join([number.to_bytes(_SIZE, "big") for number in sorted(found)])
    return base64.b64encode(packed).decode()


def holds(text: str, body: Mapping[str, Any], path: Sequence[str | int], keys: Collection[str] = ()) -> bool:
    """Return whether the field at a path into a body was applied, according to a record.

    ``keys``: if the path leads to a list item, the keys that identify it there; all that it has must be recorded.
    """
    known = _unpack(text)
    at: Any = body
    hashes = {0}
    for number, step in enumerate(path, 1):
        try:
            at = at[step]
        except (KeyError, IndexError, TypeError):
            return False
        names = _names(at, step) if isinstance(step, int) else [step]
        if keys and number == len(path) and isinstance(at, dict):
            wanted = [f"[{key}={at[key]}]" for key in keys if key in at]
            return bool(wanted) and all(any(_step(one, name) >> 8 in known for one in hashes) for name in wanted)
        hashes = {_step(one, name) for name in names for one in hashes}
    return any(one >> 8 in known for one in hashes)


def _collect(value: interfaces.Json, at: int, found: set[int]) -> None:
    """Add all fields below a field, until there are too many."""
    if len(found) > MOST:
        return
    steps = (
        value.items()
        if isinstance(value, dict)
        else [(name, item) for index, item in enumerate(value) for name in _names(item, index)]
    )
    for name, item in steps:
        below = _step(at, name)
        found.add(below >> 8)
        if isinstance(item, dict | list):
            _collect(item, below, found)


def _names(item: interfaces.Json, index: int) -> list[str]:
    """Return the names of a list item: one for each field that may identify it."""
    if isinstance(item, dict):
        names = [name for name in _KEYS if isinstance(item.get(name), str | int)]
        names = names or [name for name, value in item.items() if isinstance(value, str | int)][:4]
        return [f"[{name}={item[name]}]" for name in names]
    return [f"[{index}]" if isinstance(item, list) else f"[{item}]"]


def _step(at: int, name: str) -> int:
    return crc32(f"{name}\0".encode("utf-8", "surrogatepass"), at)


def _unpack(text: str) -> frozenset[int]:
    try:
        packed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return frozenset()
    return frozenset(int.from_bytes(packed[at : at + _SIZE], "big") for at in range(0, len(packed), _SIZE))
