"""Cache the resources of one watcher as last seen: selected, unreadable, or no longer selected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from lostromos_core import interfaces
from lostromos_core.kube.watching import store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lostromos_core.kube.watching import selection


@final
class ResourceCache:
    """Hold the resources from the watches of all namespaces, by key.

    ``is_held(metadata, known)`` decides whether we still have to clean up after a resource that is no longer
    selected; ``known``: it was selected before.
    """

    def __init__(self, selected: selection.Selection, is_held: Callable[[Mapping[str, Any], bool], bool]) -> None:
        self._selection = selected
        self._is_held = is_held
        self._store = store.Store()
        self._unreadable: dict[str, tuple[str, int]] = {}
        self._left: dict[str, str] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._store

    def __iter__(self) -> Iterator[str]:
        return iter(self._store)

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the newest known state of a resource."""
        return self._store.get(key)

    def put(self, item: dict[str, Any], unreadable: str = "") -> str | None:
        """Store a resource from a watch; return its key if the change is relevant, else None."""
        metadata = item["metadata"]
        key = key_of(metadata)
        state = unreadable, metadata.get("generation", 0)
        edited = bool(unreadable) and self._unreadable.get(key) != state
        if unreadable:
            self._unreadable[key] = state
        else:
            self._unreadable.pop(key, None)
        if not self._selection.selects(metadata) and not self._is_held(metadata, key in self._store):
            return key if self._store.drop(key) else None
        self._left.pop(key, None)
        return key if self._store.put(key, item) or edited else None

    def drop(self, key: str) -> None:
        """Forget a resource that a watch reports as gone; with a label selector, it may have left the selection."""
        uid = self._store.uid(key)
        self._store.drop(key)
        self._unreadable.pop(key, None)
        if self._selection.labels and uid is not None:
            self._left[key] = uid

    def leave(self, key: str, uid: str) -> None:
        """Record that a resource has our labels, but is no longer selected."""
        self._left[key] = uid

    def left(self, key: str) -> str | None:
        """Return the uid of a resource that has left the selection, None for any other."""
        return self._left.get(key)

    def why_unreadable(self, key: str) -> str:
        """Return why a resource cannot be decoded, empty if it can be."""
        return self._unreadable.get(key, ("", 0))[0]

    def is_selected(self, metadata: Mapping[str, Any]) -> bool:
        """Return whether a resource is selected in this state, and has not left the selection."""
        return key_of(metadata) not in self._left and self._selection.selects(metadata)

    def came_back(self, key: str) -> bool:
        """Return whether a resource that is being released is selected in its newest known state."""
        item = self._store.get(key)
        return item is not None and self.is_selected(item["metadata"])

    def forget(self, key: str) -> None:
        """Forget a resource that has left the selection, or was released."""
        self.forget_left(key)
        self._store.drop(key)

    def forget_left(self, key: str) -> None:
        """Forget that a resource has left the selection: it is gone, or belongs to another controller."""
        self._left.pop(key, None)


def key_of(metadata: Mapping[str, Any]) -> str:
    """Return the key of a resource: ``namespace/name``, or the name of a cluster-scoped one."""
    return interfaces.join_key(metadata.get("namespace") or "", metadata["name"])
