"""A cache that is bounded in bytes, and forgets what has not been used for longest."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar, final

V = TypeVar("V")


@final
class Memo(Generic[V]):
    """Values by text, of at most about ``most`` bytes in all.

    Two generations instead of an order of use: what the younger one holds when it is full becomes the older one, which
    is dropped when that happens again, except for what was asked for meanwhile. So a look costs one dict access.
    ``thrashes`` as long as a generation ends with fewer values that were asked for than were put in: what is kept then
    only costs time. Threads may share it.
    """

    def __init__(self, most: int) -> None:
        self._half = most // 2
        self.young: dict[str, tuple[V, int]] = {}
        """What was used lately, with its size; to look into, where a call for each look is too much."""
        self._old: dict[str, tuple[V, int]] = {}
        self._size = self._old_size = 0
        self._lock = threading.Lock()
        self.thrashes = False
        self._hits = self._puts = 0

    @property
    def size(self) -> int:
        """The bytes of all that is kept, as far as they were told."""
        return self._size + self._old_size

    def __len__(self) -> int:
        """How many values are kept."""
        return len(self.young) + len(self._old)

    def get(self, key: str) -> V | None:
        """The value of a text, None if it is not kept."""
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
        """Keep a value of so many bytes, unless it alone is more than an eighth of all that may be kept."""
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
