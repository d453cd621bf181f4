"""Index tracked objects by owner, and keep their counts up to date.

Everything but ``owners`` takes constant time for any number of objects and owners.
"""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, TypeAlias, final

if TYPE_CHECKING:
    from collections.abc import Collection

    from lostromos_core.kube.tracking import tracked_objects

GroupKind: TypeAlias = tuple[str, str]


@final
class _Set:
    """Hold the objects of one owner."""

    __slots__ = ("children", "owner")

    def __init__(self, owner: tracked_objects.Owner) -> None:
        self.owner = owner
        self.children: dict[tracked_objects.Key, tracked_objects.TrackedObject] = {}


@final
class Index:
    """Index tracked objects by the ID of their owner's ApplySet."""

    def __init__(self) -> None:
        self._sets: dict[str, _Set] = {}
        self._keys: dict[GroupKind, dict[str, None]] = {}
        self._counts: collections.Counter[GroupKind] = collections.Counter()

    def of(self, set_id: str) -> Collection[tracked_objects.TrackedObject]:
        """Return the objects of one owner."""
        found = self._sets.get(set_id)
        return found.children.values() if found else ()

    def get(self, set_id: str, key: tracked_objects.Key) -> tracked_objects.TrackedObject | None:
        """Return one object of an owner, or None."""
        found = self._sets.get(set_id)
        return found.children.get(key) if found else None

    def owner(self, set_id: str) -> tracked_objects.Owner:
        """Return the owner of a set, which must exist."""
        return self._sets[set_id].owner

    def owners(self, kind: GroupKind) -> list[str]:
        """Return the keys of all owners of a kind that have objects."""
        return list(self._keys.get(kind, ()))

    def count(self, kind: GroupKind) -> int:
        """Return the number of objects of all owners of a kind."""
        return self._counts[kind]

    def put(self, child: tracked_objects.TrackedObject, owner: tracked_objects.Owner) -> None:
        """Add an object, replacing the one with the same key."""
        found = self._sets.get(child.owner)
        if found is None:
            found = self._sets[child.owner] = _Set(owner)
            self._keys.setdefault(owner.kind, {})[owner.key] = None
        self._counts[owner.kind] += child.key not in found.children
        found.children[child.key] = child

    def drop(self, child: tracked_objects.TrackedObject) -> None:
        """Remove an object, which must exist."""
        found = self._sets[child.owner]
        del found.children[child.key]
        self._counts[found.owner.kind] -= 1
        if not found.children:
            del self._sets[child.owner]
            self._keys[found.owner.kind].pop(found.owner.key, None)
