"""The watched resources as they were last seen: small, and with what counts as news.

Kept as bytes, since a decoded object takes six times the memory. What the author of a resource did is news; what we
wrote on it ourselves (status, managed fields) is not.
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
    """An object, encoded; the digests of what others wrote and of our own marks; and its uid."""

    content: bytes
    digest: tuple[bytes, bytes]
    uid: str


@final
class Store:
    """Objects by key, as plain data."""

    def __init__(self) -> None:
        self._items: dict[str, _Item] = {}

    def put(self, key: str, item: dict[str, Any]) -> bool:
        """Keep the newest state of an object; whether its author, or somebody else but us, changed something."""
        metadata = item.get("metadata") or {}
        for field in _BOOKKEEPING:
            metadata.pop(field, None)
        before, digest = self._items.get(key), _digest(item)
        self._items[key] = _Item(orjson.dumps(item), digest, str(metadata.get("uid", "")))
        return _is_news(before and before.digest, digest)

    def drop(self, key: str) -> bool:
        """Forget an object; whether it was known."""
        return self._items.pop(key, None) is not None

    def get(self, key: str) -> dict[str, Any] | None:
        """The newest state of an object."""
        found = self._items.get(key)
        item: dict[str, Any] | None = None if found is None else orjson.loads(found.content)
        return item

    def uid(self, key: str) -> str | None:
        """The uid of an object, without decoding it; None if it is not known."""
        found = self._items.get(key)
        return None if found is None else found.uid

    def __iter__(self) -> Iterator[str]:
        """All keys."""
        return iter(list(self._items))

    def __contains__(self, key: object) -> bool:
        """Whether an object is known."""
        return key in self._items


def _is_news(before: tuple[bytes, bytes] | None, now: tuple[bytes, bytes]) -> bool:
    """Whether something changed, but for our own marks coming to an object that had none."""
    if before is None or before[0] != now[0]:
        return True
    return before[1] != now[1] and before[1] != _NO_MARKS


def _digest(item: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Of what others wrote, and of our own marks."""
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
