"""The resources of one watcher as they were last seen: selected, unreadable, or left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from lostromos_core.kube.watching import store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lostromos_core.kube.watching import selection


@final
class ResourceCache:
    """What the watches of all namespaces brought, by key.

    ``is_held(metadata, known=...)`` says whether a resource that is no longer selected is still ours to clean up
    after; ``known``: it was selected before.
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
        """Return a resource in its newest known state."""
        return self._store.get(key)

    def put(self, item: dict[str, Any], unreadable: str = "") -> str | None:
        """Keep a resource that a watch brought; return its key if that is news, else None."""
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
        """Forget a resource that a watch no longer shows: it is gone or, with a label selector, may have left."""
        uid = self._store.uid(key)
        self._store.drop(key)
        self._unreadable.pop(key, None)
        if self._selection.labels and uid is not None:
            self._left[key] = uid

    def leave(self, key: str, uid: str) -> None:
        """Note that a resource carries our labels, and is not selected any more."""
        self._left[key] = uid

    def left(self, key: str) -> str | None:
        """Return the uid of a resource that has left the selection, None for any other."""
        return self._left.get(key)

    def why_unreadable(self, key: str) -> str:
        """Return why a resource cannot be decoded, empty if it can be."""
        return self._unreadable.get(key, ("", 0))[0]

    def is_selected(self, metadata: Mapping[str, Any]) -> bool:
        """Return whether a resource is selected in this state, and has not left."""
        return key_of(metadata) not in self._left and self._selection.selects(metadata)

    def came_back(self, key: str) -> bool:
        """Return whether a resource that is being released is selected in its newest known state."""
        item = self._store.get(key)
        return item is not None and self.is_selected(item["metadata"])

    def forget(self, key: str) -> None:
        """Forget a resource that has left, or was released."""
        self._left.pop(key, None)
        self._store.drop(key)

    def forget_left(self, key: str) -> None:
        """Forget that a resource has left: it is gone, or is someone else's."""
        self._left.pop(key, None)


def key_of(metadata: Mapping[str, Any]) -> str:
    """Return the key of a resource: ``namespace/name``, or the name of a cluster-scoped one."""
    namespace, name = metadata.get("namespace") or "", metadata["name"]
    return f"{namespace}/{name}" if namespace else name
