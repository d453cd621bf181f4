"""Objects that templates have looked up: one watch a kind, shared; only what somebody asked for is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, final

import orjson

from lostromos_core import errors
from lostromos_core.kube import arrival, openings, paths, unreadable, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lostromos_core.kube import client, discovery

Place: TypeAlias = tuple[str, str]
"""Namespace and name."""
Bell: TypeAlias = "tuple[Callable[[str], None], str]"
"""Whom to tell: a function, and the key of the resource to tell it."""


@final
class Objects:
    """All objects that are looked up in a cluster."""

    def __init__(self, kube: client.Kube, opening: openings.Openings | None = None) -> None:
        self._kube = kube
        self._openings = opening or openings.Openings()
        self._kinds: dict[tuple[str, str, str], _Kind] = {}

    def known(self, kind: discovery.Kind, scope: str, place: Place) -> tuple[bool, Mapping[str, Any] | None]:
        """Whether it is known if there is an object, and the object (None: there is none)."""
        watched = self._kinds.get((kind.api_version, kind.plural, scope))
        if watched is None or place not in watched.kept:
            return False, None
        text = watched.kept[place]
        return True, None if text is None else orjson.loads(text)

    async def load(self, kind: discovery.Kind, scope: str, place: Place, bell: Bell) -> None:
        """Get to know an object, and ring for every change of it from now on; raises ApiError."""
        key = kind.api_version, kind.plural, scope
        watched = self._kinds.get(key)
        if watched is None:
            watched = self._kinds[key] = _Kind(self._kube, kind)
            run = self._watch(watched, scope).run
            self._kube.background(run, name=f"watch {kind.plural} for lookup")
        watched.bells.setdefault(place, set()).add(bell)
        await watched.arrival.wait()
        if place not in watched.kept:
            await self._get(watched, place)

    def leave(self, kind: discovery.Kind, scope: str, place: Place, bell: Bell) -> None:
        """Ring no more; what nobody asks for is forgotten."""
        watched = self._kinds.get((kind.api_version, kind.plural, scope))
        if watched is None:
            return
        bells = watched.bells.get(place, set())
        bells.discard(bell)
        if not bells:
            watched.bells.pop(place, None)
            watched.kept.pop(place, None)

    async def _get(self, watched: _Kind, place: Place) -> None:
        """Read an object that the watch brought before anybody wanted it. News that come meanwhile are newer."""
        kind = watched.kind
        path = paths.item(kind.api_version, kind.plural, *place)
        action = f"look up {kind.name} {'/'.join(filter(None, place))}"
        try:
            found = await self._kube.request("GET", path, action=action)
        except errors.ApiError as error:
            if error.status != watch.NOT_FOUND:
                raise
            found = None
        if found is not None and unreadable.is_deep(found):
            raise errors.RefusedError(f"{action}: it is nested too deeply")
        watched.kept.setdefault(place, None if found is None else _stripped(found))

    def _watch(self, watched: _Kind, scope: str) -> watch.Watch:
        kind = watched.kind

        path = watch.collection_of(self._kube, kind, scope)
        what = f"{kind.plural} in {scope or 'all namespaces'}"
        return watch.Watch(self._kube, path, watched, what=what, place=self._openings.place())


@final
class _Kind:
    """One watched kind: what somebody wants of it, and the texts that we have; None for what does not exist."""

    def __init__(self, kube: client.Kube, kind: discovery.Kind) -> None:
        self.kind = kind
        self._kube = kube
        self.bells: dict[Place, set[Bell]] = {}
        self.kept: dict[Place, bytes | None] = {}
        needs = f"lookup needs the verbs get, list and watch on {kind.plural} ({kind.api_version})"
        self.arrival = arrival.Arrival(kind, why="look up", needs=needs)

    def changed(self, item: dict[str, Any]) -> None:
        metadata = item["metadata"]
        self._keep((metadata.get("namespace") or "", metadata["name"]), item)

    def gone(self, namespace: str, name: str) -> None:
        self._keep((namespace, name), None)

    def broken(self, metadata: Mapping[str, Any], reason: str) -> None:
        """What cannot be decoded cannot be looked up; whoever waits for it goes on waiting."""

    def synced(self) -> None:
        for place in self.bells:
            self.kept.setdefault(place, None)
        self.arrival.synced()

    def trouble(self, error: errors.ApiError | None) -> None:
        if error is not None and error.status == watch.NOT_FOUND:
            self._kube.discovery.forget(self.kind.api_version, self.kind.name)
        self.arrival.trouble(error)

    def _keep(self, place: Place, item: dict[str, Any] | None) -> None:
        if place not in self.bells:
            return
        text = None if item is None else _stripped(item)
        known, before = place in self.kept, self.kept.get(place)
        self.kept[place] = text
        if not known or text != before:
            for ring, key in list(self.bells[place]):
                ring(key)


def _stripped(item: Mapping[str, Any]) -> bytes:
    """An object without what changes with every write and says nothing."""
    hidden = {"managedFields", "resourceVersion", "selfLink"}
    metadata = {key: value for key, value in (item.get("metadata") or {}).items() if key not in hidden}
    return orjson.dumps({**item, "metadata": metadata})
