"""Store the watched resources as last seen, compactly, and detect relevant changes.

Stored as bytes, since a decoded object takes six times the memory. Changes by the author of a resource are relevant;
our own (status, managed fields) are not.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple, final

import orjson

from lostromos_core.kube import labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BOOKKEEPING = ("managedFields", "selfLink")
_NO_NEWS = frozenset({"resourceVersion", "generation", "managedFields", "selfLink"})


@final
class _Item(NamedTuple):
    """Hold an encoded object, the digests of what others and what we wrote, and its uid."""

    content: bytes
    digest: tuple[bytes, bytes]
    uid: str


@final
class Store:
    """Hold objects by key, as plain data."""

    def __init__(self) -> None:
        self._items: dict[str, _Item] = {}

    def put(self, key: str, item: dict[str, Any]) -> bool:
        """Store the newest state of an object; return whether its author or another field manager changed it."""
        metadata = item.get("metadata") or {}
        for field in _BOOKKEEPING:
            metadata.pop(field, None)
        before, digest = self._items.get(key), _digest(item)
        self._items[key] = _Item(orjson.dumps(item), digest, str(metadata.get("uid", "")))
        return _is_news(before and before.digest, digest)

    def drop(self, key: str) -> bool:
        """Forget an object; return whether it was known."""
        return self._items.pop(key, None) is not None

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the newest state of an object, None if it is not known."""
        found = self._items.get(key)
        item: dict[str, Any] | None = None if found is None else orjson.loads(found.content)
        return item

    def uid(self, key: str) -> str | None:
        """Return the uid of an object without decoding it; None if the object is not known."""
        found = self._items.get(key)
        return None if found is None else found.uid

    def __iter__(self) -> Iterator[str]:
        """Iterate over all keys."""
        return iter(list(self._items))

    def __contains__(self, key: object) -> bool:
        """Return whether an object is known."""
        return key in self._items


def _is_news(before: tuple[bytes, bytes] | None, now: tuple[bytes, bytes]) -> bool:
    """Return whether a change is relevant: anything except adding our labels and annotations for the first time."""
    if before is None or before[0] != now[0]:
        return True
    return before[1] != now[1] and before[1] != _NO_MARKS


def _digest(item: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Return the digests of what others wrote, and of our labels, annotations and finalizer."""
    view = {key: value for key, value in item.items() if key not in {"status", "metadata"}}
    metadata = {key: value for key, value in (item.get("metadata") or {}).items() if key not in _NO_NEWS}
    own: dict[str, Any] = {}
    for field in ("labels", "annotations"):
        found = metadata.pop(field, None) or {}
        view[field] = {key: value for key, value in found.items() if key not in labels.OWN_KEYS}
        own |= {key: value for key, value in found.items() if key in labels.OWN_KEYS}
    finalizers = metadata.pop("finalizers", None) or ()
    view["finalizers"] = [name for name in finalizers if name != labels.FINALIZER]
    own |= {name: "" for name in finalizers if name == labels.FINALIZER}
    return _hash({**view, "metadata": metadata}), _hash(own)


def _hash(view: Mapping[str, Any]) -> bytes:
    return hashlib.blake2b(orjson.dumps(view, option=orjson.OPT_SORT_KEYS), digest_size=12).digest()


_NO_MARKS = _hash({})
