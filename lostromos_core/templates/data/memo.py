"""Cache values up to a limit in bytes, and evict those that have not been used for longest."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar, final

V = TypeVar("V")


@final
class Memo(Generic[V]):
    """Cache values by text, up to about ``most`` bytes in total.

    Two generations replace an order of use: when the younger one is full, it becomes the older one, which is dropped
    when that happens again, except for values requested in the meantime. So a lookup costs one dict access.
    ``thrashes`` is set while a generation ends with fewer hits than insertions: caching then only costs time. Safe for
    use by several threads.
    """

    def __init__(self, most: int) -> None:
        self._half = most // 2
        self.young: dict[str, tuple[V, int]] = {}
        """Recently used values, with their sizes; read it directly where a call per lookup is too expensive."""
        self._old: dict[str, tuple[V, int]] = {}
        self._size = self._old_size = 0
        self._lock = threading.Lock()
        self.thrashes = False
        self._hits = self._puts = 0

    @property
    def size(self) -> int:
        """Return the bytes of all cached values, as reported to ``put``."""
        return self._size + self._old_size

    def __len__(self) -> int:
        """Return the number of cached values."""
        return len(self.young) + len(self._old)

    def get(self, key: str) -> V | None:
        """Return the value of a text, or None if it is not cached."""
        found = self.young.get(key)
        if found is not None:
            self._hits += 1
            return found[0]
        found = self._old.get(key)
        if found is None:
            return None
        self._hits += 1
        self.put(key, *found)
        return found[0]

    def put(self, key: str, value: V, size: int) -> None:
        """Cache a value of ``size`` bytes, unless it alone exceeds an eighth of the limit."""
        if size * 4 > self._half:
            return
        with self._lock:
            if self._size + size > self._half:
                self._old, self._old_size = self.young, self._size
                self.young, self._size = {}, 0
                self.thrashes = self._hits < self._puts
                self._hits = self._puts = 0
            self._puts += 1
            known = self.young.get(key)
            self.young[key] = (value, size)
            self._size += size - (known[1] if known else 0)
