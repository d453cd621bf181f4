"""The objects that belong to resources, as their metadata says: watched, one watch a kind, shared by all controllers.

Only metadata is asked for, and little of it is kept: see ``members``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, final

from lostromos_core.kube import arrival, marks, media, members, watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from lostromos_core import errors, interfaces
    from lostromos_core.kube import client, discovery

Listener: TypeAlias = "Callable[[str, members.Child | None, members.Child | None], None]"
"""Called with the key of an owner, and what one of its objects was and is now (None: not there, or not its own)."""


@final
class Children:
    """All watched children of a cluster. Watches begin when they are needed, and end with the connection."""

    def __init__(self, kube: client.Kube) -> None:
        self._kube = kube
        self._sinks: dict[tuple[str, str, str], _Sink] = {}
        self._sets: dict[str, list[members.Child]] = {}
        self._owners: dict[str, members.Owner] = {}
        self._listeners: dict[tuple[str, str], list[Listener]] = {}

    def listen(self, group: str, kind: str, listener: Listener) -> None:
        """Tell about the children of all owners of a kind."""
        self._listeners.setdefault((group, kind), []).append(listener)

    async def ensure(self, kind: discovery.Kind, namespace: str = "") -> None:
        """Watch a kind, in one namespace or (empty) everywhere, and wait until all there is is known.

        Raises ApiError if it cannot be watched.
        """
        sink = self._sinks.get((kind.api_version, kind.plural, ""))
        if sink is None:
            key = (kind.api_version, kind.plural, namespace)
            sink = self._sinks.get(key)
            if sink is None:
                sink = self._sinks[key] = _Sink(self, kind)
                self._kube.background(self._watch(sink, kind, namespace).run, name=f"watch children {kind.plural}")
        await sink.arrival.wait()

    def covers(self, kind: discovery.Kind, namespace: str) -> bool:
        """Whether a kind is watched in a namespace, in any version of its group, and all there is is known."""
        group, name = kind.api_version.rpartition("/")[0], kind.name
        return any(
            sink.arrival.complete
            for (_, _, place), sink in self._sinks.items()
            if place in {"", namespace} and sink.serves(group, name)
        )

    def of(self, owner: interfaces.ObjectRef) -> list[members.Child]:
        """All known children of an owner."""
        return list(self._sets.get(marks.set_id(owner), ()))

    def owners(self, group: str, kind: str) -> list[str]:
        """The keys of all owners of a kind that have children."""
        return [owner.key for owner in self._owners.values() if owner.kind == (group, kind)]

    def count(self, group: str, kind: str) -> int:
        """How many children all owners of a kind have."""
        owners = self._owners.items()
        return sum(len(self._sets[set_id]) for set_id, owner in owners if owner.kind == (group, kind))

    def _watch(self, sink: _Sink, kind: discovery.Kind, namespace: str) -> watch.Watch:
        path = watch.collection_of(self._kube, kind, namespace)
        what = f"{kind.plural} of resources in {namespace or 'all namespaces'}"
        return watch.Watch(
            self._kube, path, sink, what=what, labels=marks.PART_OF, accept=(media.METADATA_ONLY, media.METADATA_LIST)
        )

    def _put(self, child: members.Child, owner: members.Owner) -> None:
        """Keep the newest state of a child, and tell; two watches may bring the same, also in two versions."""
        kept = self._sets.setdefault(child.owner, [])
        self._owners[child.owner] = owner
        before = next((one for one in kept if one.key == child.key), None)
        if before is not None:
            if before.uid == child.uid and before.version > child.version:
                return
            kept.remove(before)
        kept.append(child)
        self._tell(owner, before, child)

    def _drop(self, child: members.Child) -> None:
        """Forget a child, and tell, unless another watch has told already."""
        kept = self._sets.get(child.owner, [])
        known = next((one for one in kept if one.key == child.key and one.uid == child.uid), None)
        if known is None:
            return
        owner = self._owners[child.owner]
        kept.remove(known)
        if not kept:
            del self._sets[child.owner], self._owners[child.owner]
        self._tell(owner, known, None)

    def _tell(self, owner: members.Owner, before: members.Child | None, now: members.Child | None) -> None:
        for listener in self._listeners.get(owner.kind, ()):
            listener(owner.key, before, now)


@final
class _Sink:
    """What one watch finds."""

    def __init__(self, children: Children, kind: discovery.Kind) -> None:
        needs = f"give the operator the verbs list and watch on {kind.plural} ({kind.api_version})"
        self.arrival = arrival.Arrival(kind, why="watch", needs=needs)
        self._children = children
        self._kind = kind
        self._known: dict[tuple[str, str], members.Child] = {}

    def serves(self, group: str, kind: str) -> bool:
        """Whether this kind is watched."""
        return (self._kind.api_version.rpartition("/")[0], self._kind.name) == (group, kind)

    def changed(self, item: dict[str, Any]) -> None:
        metadata = item["metadata"]
        place = metadata.get("namespace") or "", metadata["name"]
        found = members.read(self._kind, metadata)
        before = self._known.get(place)
        if before is not None and (found is None or found[0].owner != before.owner):
            self.gone(*place)
        if found is not None:
            self._known[place] = found[0]
            self._children._put(*found)  # noqa: SLF001 - its other half

    def gone(self, namespace: str, name: str) -> None:
        child = self._known.pop((namespace, name), None)
        if child is not None:
            self._children._drop(child)  # noqa: SLF001 - its other half

    def broken(self, item: dict[str, Any], reason: str) -> None:  # noqa: ARG002 - the protocol's
        """Take what can be read of its metadata."""
        if item["metadata"].get("name"):
            self.changed(item)

    def synced(self) -> None:
        self.arrival.synced()

    def trouble(self, error: errors.ApiError | None) -> None:
        if error is not None and error.status == watch.NOT_FOUND:
            self._children._kube.discovery.forget(self._kind.api_version, self._kind.name)  # noqa: SLF001 - as above
        self.arrival.trouble(error)
