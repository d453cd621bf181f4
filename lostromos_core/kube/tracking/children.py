"""Watch the objects that belong to resources, with one watch per kind that all controllers share.

Only metadata is requested, and little of it is kept: see ``tracked_objects``.
"""

from __future__ import annotations

import asyncio
import functools
import http
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from lostromos_core.kube import labels
from lostromos_core.kube.tracking import index, tracked_objects
from lostromos_core.kube.transport import media_types, paths
from lostromos_core.kube.watching import cache_sync, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from lostromos_core import errors, interfaces
    from lostromos_core.kube import cluster
    from lostromos_core.kube.kinds import discovery

Listener: TypeAlias = (
    "Callable[[str, tracked_objects.TrackedObject | None, tracked_objects.TrackedObject | None], None]"
)
"""Called with an owner's key, and the old and new state of one of its objects (None: absent, or not its own)."""
LINGER: Final = 60.0
"""Seconds that a borrowed watch continues while unused; 10,000 resources may request it one after the other."""
MOST_LENT: Final = 50
"""Maximum number of watches lent at the same time: anyone who may edit a resource can hint at any kind."""


@final
class Children:
    """Hold all watched children of a cluster.

    Watches start on demand. Those of applied kinds end with the connection; those of kinds that were applied
    earlier (``borrow``) end when no objects are left.
    """

    def __init__(self, kube: cluster.Cluster, *, linger: float = LINGER) -> None:
        self._kube = kube
        self._linger = linger
        self._lent = 0
        self._handlers: dict[tuple[str, str], dict[str, list[_Handler]]] = {}
        self._index = index.Index()
        self._listeners: dict[tuple[str, str], list[Listener]] = {}
        self._sinks: dict[tuple[str, str], list[Callable[[str], None]]] = {}

    def listen(self, group: str, kind: str, listener: Listener, *, moved: Callable[[str], None] | None = None) -> None:
        """Register a listener for the children of all owners of a kind; ``moved``: called if their version changes."""
        self._listeners.setdefault((group, kind), []).append(listener)
        if moved is not None:
            self._sinks.setdefault((group, kind), []).append(moved)

    async def ensure(self, kind: discovery.Kind, namespace: str = "") -> None:
        """Watch a kind, in one namespace or (empty) everywhere, and wait until the first list is complete.

        Raises ApiError if it cannot be watched.
        """
        handler = self._find_handler(kind, namespace) or self._begin(kind, namespace, lent=False)
        self._lent -= handler.lent
        handler.lent = False
        await handler.cache_sync.wait()

    async def borrow(self, kind: discovery.Kind, namespace: str = "") -> bool:
        """Watch like ``ensure``, for a kind that was applied earlier; the watch ends some time after its last object.

        Returns False if too many watches are already lent, so that it is not watched. Raises ApiError if it cannot be.
        """
        handler = self._find_handler(kind, namespace)
        if handler is None:
            if self._lent >= MOST_LENT:
                return False
            handler = self._begin(kind, namespace, lent=True)
        handler.asked = True
        handler.waiting += 1
        try:
            await handler.cache_sync.wait()
        finally:
            handler.waiting -= 1
        return True

    def covers(self, kind: discovery.Kind, namespace: str) -> bool:
        """Return whether a kind is watched in a namespace, in any version, and its first list is complete."""
        group_kind = kind.group_kind
        return any(handler.cache_sync.complete for handler in self._watching(group_kind, namespace))

    def is_live(self, child: tracked_objects.TrackedObject) -> bool:
        """Return whether a healthy watch tracks this very object, so that its deletion will be noticed."""
        if self._index.get(child.owner, child.key) is not child:
            return False
        return any(handler.is_live for handler in self._watching(child.key[:2], child.namespace))

    def of(self, owner: interfaces.ObjectRef) -> list[tracked_objects.TrackedObject]:
        """Return all known children of an owner."""
        return list(self._index.of(labels.set_id(owner)))

    def owners(self, group: str, kind: str) -> list[str]:
        """Return the keys of all owners of a kind that have children."""
        return self._index.owners((group, kind))

    def count(self, group: str, kind: str) -> int:
        """Return the number of children of all owners of a kind."""
        return self._index.count((group, kind))

    def _watching(self, kind: tuple[str, str], namespace: str) -> Iterator[_Handler]:
        """Yield the handlers of the watches of a kind that cover a namespace."""
        places = self._handlers.get(kind, {})
        yield from places.get("", ())
        if namespace:
            yield from places.get(namespace, ())

    def _find_handler(self, kind: discovery.Kind, namespace: str) -> _Handler | None:
        """Return the handler of the watch of a kind, in this version, that covers a namespace; None if not watched."""
        group_kind = kind.group_kind
        return next((handler for handler in self._watching(group_kind, namespace) if handler.serves(kind)), None)

    def _begin(self, kind: discovery.Kind, namespace: str, *, lent: bool) -> _Handler:
        handler = _Handler(self, kind, namespace, lent=lent)
        self._handlers.setdefault(handler.group_kind, {}).setdefault(namespace, []).append(handler)
        run = self._watch(handler, kind, namespace).run
        if lent:
            self._lent += 1
            run = functools.partial(self._lend, handler, run)
        self._kube.background(run, name=f"watch children {kind.plural}")
        return handler

    async def _lend(self, handler: _Handler, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Watch until the watch has not been used for a while."""
        task = asyncio.create_task(run(), name=f"watch lent {handler.plural}")
        try:
            while not task.done():
                if not handler.is_needed():
                    self._end(handler)
                    return
                await asyncio.wait({task}, timeout=self._linger)
        finally:
            task.cancel()
            await asyncio.wait({task})
        task.result()  # raises if the watch has failed; it is then restarted

    def _end(self, handler: _Handler) -> None:
        self._lent -= 1
        places = self._handlers[handler.group_kind]
        places[handler.namespace].remove(handler)
        if not places[handler.namespace]:
            del places[handler.namespace]

    def _watch(self, handler: _Handler, kind: discovery.Kind, namespace: str) -> watch.Watch:

        async def path() -> str:
            found = await self._kube.discovery.in_any_version(kind.api_version, kind.name)
            if handler.moves(found):
                self._tell_moved(handler)
            return paths.collection(found.api_version, found.plural, namespace if found.namespaced else "")

        what = f"{kind.plural} of resources in {namespace or 'all namespaces'}"
        return watch.Watch(
            self._kube,
            path,
            handler,
            what=what,
            labels=labels.PART_OF,
            accept=(media_types.METADATA_ONLY, media_types.METADATA_LIST),
            permit=self._kube.list_limiter.permit(),
        )

    def _tell_moved(self, handler: _Handler) -> None:
        """Enqueue the owners of children that are now watched in another version: applying them may have to change."""
        known = [child for child in handler.children if self._index.get(child.owner, child.key)]
        for owner in {self._index.owner(child.owner) for child in known}:
            for enqueue in self._sinks.get(owner.kind, ()):
                enqueue(owner.key)

    def put(self, child: tracked_objects.TrackedObject, owner: tracked_objects.Owner) -> None:
        """Keep the latest state of a child, and notify; two watches may report it, even in two versions."""
        before = self._index.get(child.owner, child.key)
        if before is not None and before.uid == child.uid and before.version > child.version:
            return
        self._index.put(child, owner)
        self._tell(owner, before, child)

    def drop(self, child: tracked_objects.TrackedObject) -> None:
        """Forget a child, and notify, unless another watch has already reported it."""
        known = self._index.get(child.owner, child.key)
        if known is None or known.uid != child.uid:
            return
        owner = self._index.owner(child.owner)
        self._index.drop(known)
        self._tell(owner, known, None)

    def look_again(self, kind: discovery.Kind) -> None:
        """Look up how a kind is served: the API server does not know its path any more."""
        self._kube.discovery.forget(kind.api_version, kind.name)

    def _tell(
        self,
        owner: tracked_objects.Owner,
        before: tracked_objects.TrackedObject | None,
        now: tracked_objects.TrackedObject | None,
    ) -> None:
        for listener in self._listeners.get(owner.kind, ()):
            listener(owner.key, before, now)


@final
class _Handler:
    """Handle the events of one watch. ``lent``: it ends when unused; ``waiting``: the number of waiting callers."""

    def __init__(self, children: Children, kind: discovery.Kind, namespace: str = "", *, lent: bool = False) -> None:
        needs = f"give the operator the verbs list and watch on {kind.plural} ({kind.api_version})"
        self.cache_sync = cache_sync.CacheSync(kind, why="watch", needs=needs)
        self.group_kind = kind.group_kind
        self.plural = kind.plural
        self.namespace = namespace
        self.lent = lent
        self.asked = False
        self.waiting = 0
        self._troubled = False
        self._children = children
        self._asked, self._kind = kind, kind
        self._known: dict[tracked_objects.Key, tracked_objects.TrackedObject] = {}

    @property
    def is_live(self) -> bool:
        """Return whether the first list is complete and the watch is healthy."""
        return self.cache_sync.complete and not self._troubled

    def serves(self, kind: discovery.Kind) -> bool:
        """Return whether the watch started with this version of the kind; it moves on if that is no longer served."""
        return (self._asked.api_version, self._asked.plural) == (kind.api_version, kind.plural)

    def moves(self, kind: discovery.Kind) -> bool:
        """Use this version of the kind from now on; return whether it has changed."""
        before, self._kind = self._kind, kind
        return before.api_version != kind.api_version

    @property
    def children(self) -> list[tracked_objects.TrackedObject]:
        """Return all known children."""
        return list(self._known.values())

    def is_needed(self) -> bool:
        """Return whether the watch is still in use, or was requested since the last call."""
        asked, self.asked = self.asked, False
        return asked or not self.lent or self.waiting > 0 or bool(self._known)

    def changed(self, item: dict[str, Any]) -> None:
        metadata = item["metadata"]
        place = metadata.get("namespace") or "", metadata["name"]
        found = tracked_objects.read(self._kind, metadata)
        before = self._known.get((*self.group_kind, *place))
        if before is not None and (found is None or found[0].owner != before.owner):
            self.gone(*place)
        if found is not None:
            self._known[found[0].key] = found[0]
            self._children.put(*found)

    def gone(self, namespace: str, name: str) -> None:
        child = self._known.pop((*self.group_kind, namespace, name), None)
        if child is not None:
            self._children.drop(child)

    def broken(self, item: dict[str, Any], reason: str) -> None:  # noqa: ARG002 - required by the protocol
        """Handle the readable part of an object's metadata."""
        if item["metadata"].get("name"):
            self.changed(item)

    def synced(self) -> None:
        self.cache_sync.synced()

    def trouble(self, error: errors.ApiError | None) -> None:
        self._troubled = error is not None
        if error is not None and error.status == http.HTTPStatus.NOT_FOUND:
            self._children.look_again(self._kind)
        self.cache_sync.trouble(error)
