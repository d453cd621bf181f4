"""Which fields of an object were applied last: written on the object, so that a later process knows it, too.

Whoever changes a field takes it from our manager, so that ``managedFields`` do not say whether it was ours before. The
fields are remembered by a hash of 24 bits of the way to each: an object with 100 fields carries 400 characters. The
values are not remembered.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MOST: Final = 1_500
"""Fields that are remembered at most: of an object with more, none are."""
_SIZE: Final = 3
_KEYS: Final = (
    "name", "port", "containerPort", "mountPath", "devicePath", "ip", "topologyKey", "uid", "type", "key",
)  # fmt: skip
"""What items of lists are known by, in built-in kinds and in most others."""
_NOT_OURS: Final = frozenset({"apiVersion", "kind", "status"})


def of(body: Mapping[str, Any]) -> str:
    """Return what is remembered of a body; empty if it has too many fields."""
    found: set[int] = set()
    for name, value in body.items():
        if name not in _NOT_OURS and not _collect(value, _step(0, name), found):
            return ""
    packed = b"".join(number.to_bytes(_SIZE, "big") for number in sorted(found))
    return base64.b64encode(packed).decode()


def holds(text: str, body: Mapping[str, Any], path: Sequence[str | int]) -> bool:
    """Return whether the field at a path into a body was applied, as far as a text remembers."""
    known = _unpack(text)
    if not known:
        return False
    at: Any = body
    hashes = {0}
    for step in path:
        try:
            at = at[step]
        except (KeyError, IndexError, TypeError):
            return False
        if isinstance(step, int):
            hashes = {_step(one, name) for name in _names(at, step) for one in hashes}
        else:
            hashes = {_step(one, step) for one in hashes}
    return any(_short(one) in known for one in hashes)


def _collect(value: Any, at: int, found: set[int]) -> bool:  # noqa: ANN401 - any JSON value
    """Add a field and all below it; False if there are too many."""
    found.add(_short(at))
    if len(found) > MOST:
        return False
    if isinstance(value, dict):
        return all(_collect(item, _step(at, name), found) for name, item in value.items())
    if isinstance(value, list):
        return all(
            _collect(item, _step(at, name), found) for index, item in enumerate(value) for name in _names(item, index)
        )
    return True


def _names(item: Any, index: int) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Names of a list's item: by each of the fields that it may be known by."""
    if isinstance(item, dict):
        scalars = [name for name, value in item.items() if isinstance(value, str | int)]
        for name in [name for name in _KEYS if name in scalars] or scalars[:4]:
            yield f"[{name}={item[name]}]"
    elif isinstance(item, list):
        yield f"[{index}]"
    else:
        yield f"[{item}]"


def _step(at: int, name: str) -> int:
    return crc32(b"\0" + name.encode("utf-8", "surrogatepass"), at)


def _short(number: int) -> int:
    return number >> 8


def _unpack(text: str) -> frozenset[int]:
    try:
        packed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return frozenset()
    return frozenset(int.from_bytes(packed[at : at + _SIZE], "big") for at in range(0, len(packed), _SIZE))
