"""Cache the objects that templates look up: one shared watch per kind; only requested objects are kept."""

from __future__ import annotations

import http
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

import orjson

from lostromos_core import errors
from lostromos_core.kube.transport import paths, unreadable
from lostromos_core.kube.watching import cache_sync, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lostromos_core.kube import cluster
    from lostromos_core.kube.kinds import discovery

Place: TypeAlias = tuple[str, str]
"""Namespace and name."""
Listener: TypeAlias = "tuple[Callable[[str], None], str]"
"""A function to call on a change, and the key of the resource to pass to it."""


TOO_DEEP: Final = "it cannot be decoded: it is nested too deeply"


@final
class LookupCache:
    """Hold all objects that are looked up in a cluster."""

    def __init__(self, kube: cluster.Cluster) -> None:
        self._kube = kube
        self._kinds: dict[tuple[str, str, str], _Kind] = {}

    def known(self, kind: discovery.Kind, scope: str, place: Place) -> tuple[bool, Mapping[str, Any] | None]:
        """Return whether an object's state is known, and the object (None if it does not exist or is unreadable)."""
        watched = self._kinds.get((kind.api_version, kind.name, scope))
        if watched is None or place not in watched.kept:
            return False, None
        text = watched.kept[place]
        return True, orjson.loads(text) if isinstance(text, bytes) else None

    def why_not(self, kind: discovery.Kind, scope: str, place: Place) -> str:
        """Return why an object that exists cannot be looked up; empty if it can be."""
        watched = self._kinds.get((kind.api_version, kind.name, scope))
        text = watched.kept.get(place) if watched else None
        return text if isinstance(text, str) else ""

    async def load(self, kind: discovery.Kind, scope: str, place: Place, listener: Listener) -> None:
        """Load an object, and notify the listener of every change from now on; raises ApiError."""
        key = kind.api_version, kind.name, scope
        watched = self._kinds.get(key)
        if watched is None:
            watched = self._kinds[key] = _Kind(self._kube, kind)
            run = self._watch(watched, scope).run
            self._kube.background(run, name=f"watch {kind.plural} for lookup")
        watched.listeners.setdefault(place, set()).add(listener)
        await watched.cache_sync.wait()
        if place not in watched.kept:
            await self._get(watched, kind, place)

    def leave(self, kind: discovery.Kind, scope: str, place: Place, listener: Listener) -> None:
        """Remove a listener; an object without listeners is forgotten."""
        watched = self._kinds.get((kind.api_version, kind.name, scope))
        if watched is None:
            return
        listeners = watched.listeners.get(place, set())
        listeners.discard(listener)
        if not listeners:
            watched.listeners.pop(place, None)
            watched.kept.pop(place, None)

    async def _get(self, watched: _Kind, kind: discovery.Kind, place: Place) -> None:
        """Read an object that the watch saw before it was requested. Events received meanwhile take precedence."""
        path = paths.item(kind.api_version, kind.plural, *place)
        action = f"look up {kind.name} {'/'.join(filter(None, place))}"
        try:
            found = await self._kube.request("GET", path, action=action)
        except errors.ApiError as error:
            if error.reason == unreadable.REASON:
                watched.kept.setdefault(place, TOO_DEEP)
                return
            if error.status != http.HTTPStatus.NOT_FOUND:
                raise
            if not error.reason:  # the path is not found, not just the object: the kind is served differently now
                self._kube.discovery.forget(kind.api_version, kind.name)
                raise errors.ApiError(error.message, status=error.status, retryable=True) from error
            found = None
        if found is not None and (found := unreadable.sift(found)) is None:
            watched.kept.setdefault(place, TOO_DEEP)
            return
        watched.kept.setdefault(place, None if found is None else _stripped(found))

    def _watch(self, watched: _Kind, scope: str) -> watch.Watch:
        kind = watched.kind

        path = watch.collection_of(self._kube, kind, scope)
        what = f"{kind.plural} in {scope or 'all namespaces'}"
        return watch.Watch(self._kube, path, watched, what=what, permit=self._kube.list_limiter.permit())


@final
class _Kind:
    """Hold one watched kind: its requested objects and their listeners.

    Objects are kept as JSON bytes; None if an object does not exist, and a string with the reason if it is unreadable.
    """

    def __init__(self, kube: cluster.Cluster, kind: discovery.Kind) -> None:
        self.listeners: dict[Place, set[Listener]] = {}
        self.kept: dict[Place, bytes | str | None] = {}
        self._kube = kube
        self.kind = kind
        needs = f"lookup needs the verbs get, list and watch on {kind.plural} ({kind.api_version})"
        self.cache_sync = cache_sync.CacheSync(kind, why="look up", needs=needs)

    def changed(self, item: dict[str, Any]) -> None:
        metadata = item["metadata"]
        place = metadata.get("namespace") or "", metadata["name"]
        if place in self.listeners:
            self._keep(place, _stripped(item))

    def gone(self, namespace: str, name: str) -> None:
        self._keep((namespace, name), None)

    def broken(self, item: dict[str, Any], reason: str) -> None:
        """Record why an object cannot be looked up."""
        metadata = item["metadata"]
        self._keep((metadata.get("namespace") or "", metadata.get("name") or ""), reason)

    def synced(self) -> None:
        for place in self.listeners:
            self.kept.setdefault(place, None)
        self.cache_sync.synced()

    def trouble(self, error: errors.ApiError | None) -> None:
        if error is not None and error.status == http.HTTPStatus.NOT_FOUND:
            self._kube.discovery.forget(self.kind.api_version, self.kind.name)
        self.cache_sync.trouble(error)

    def _keep(self, place: Place, text: bytes | str | None) -> None:
        if place not in self.listeners:
            return
        known, before = place in self.kept, self.kept.get(place)
        self.kept[place] = text
        if not known or text != before:
            for enqueue, key in list(self.listeners[place]):
                enqueue(key)


def _stripped(item: Mapping[str, Any]) -> bytes:
    """Return an object as JSON, without metadata that changes with every write and has no meaning for templates."""
    hidden = {"managedFields", "resourceVersion", "selfLink"}
    metadata = {key: value for key, value in (item.get("metadata") or {}).items() if key not in hidden}
    return orjson.dumps({**item, "metadata": metadata})
