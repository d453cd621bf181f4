"""Objects that templates have looked up: one watch a kind, shared; only what somebody asked for is kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

import orjson

from lostromos_core import errors
from lostromos_core.kube import paths, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lostromos_core.kube import client, discovery

PATIENCE: Final = 30.0
"""Seconds to wait for the first list of a kind."""

Place: TypeAlias = tuple[str, str]
"""Namespace and name."""
Bell: TypeAlias = "tuple[Callable[[str], None], str]"
"""Whom to tell: a function, and the key of the resource to tell it."""


@final
class Objects:
    """All objects that are looked up in a cluster."""

    def __init__(self, kube: client.Kube) -> None:
        self._kube = kube
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
            watched = self._kinds[key] = _Kind(kind)
            run = self._watch(watched, scope).run()
            self._kube.background(run, name=f"watch {kind.plural} for lookup")
        watched.bells.setdefault(place, set()).add(bell)
        await watched.ready()
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
        try:
            found = await self._kube.request("GET", path, action=f"look up {kind.name} {'/'.join(filter(None, place))}")
        except errors.ApiError as error:
            if error.status != watch.NOT_FOUND:
                raise
            found = None
        watched.kept.setdefault(place, None if found is None else _stripped(found))

    def _watch(self, watched: _Kind, scope: str) -> watch.Watch:
        kind = watched.kind

        async def path() -> str:
            found = await self._kube.discovery.kind(kind.api_version, kind.name)
            return paths.collection(found.api_version, found.plural, scope)

        return watch.Watch(self._kube, path, watched, what=f"{kind.plural} in {scope or 'all namespaces'}")


@final
class _Kind:
    """One watched kind: what somebody wants of it, and the texts that we have; None for what does not exist."""

    def __init__(self, kind: discovery.Kind) -> None:
        self.kind = kind
        self.bells: dict[Place, set[Bell]] = {}
        self.kept: dict[Place, bytes | None] = {}
        self._complete = False
        self._news = asyncio.Event()
        self._trouble: errors.ApiError | None = None

    async def ready(self) -> None:
        """Wait until all there was is known; raises what keeps us from knowing it."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not self._complete:
                    if self._trouble is not None:
                        raise _explain(self._trouble, self.kind)
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError as error:
            msg = f"look up {self.kind.plural}: the first list takes long"
            raise errors.ApiError(msg, status=0, retryable=True) from error

    def changed(self, item: dict[str, Any]) -> None:
        metadata = item["metadata"]
        self._keep((metadata.get("namespace") or "", metadata["name"]), item)

    def gone(self, namespace: str, name: str) -> None:
        self._keep((namespace, name), None)

    def broken(self, metadata: Mapping[str, Any], reason: str) -> None:
        """What cannot be decoded cannot be looked up; whoever waits for it goes on waiting."""

    def synced(self) -> None:
        self._complete = True
        for place in self.bells:
            self.kept.setdefault(place, None)
        self._news.set()

    def trouble(self, error: errors.ApiError | None) -> None:
        self._trouble = error
        self._news.set()

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


def _explain(error: errors.ApiError, kind: discovery.Kind) -> errors.ApiError:
    if error.status != 403:  # noqa: PLR2004 - HTTP
        return error
    msg = f"{error}; lookup needs the verbs get, list and watch on {kind.plural} ({kind.api_version})"
    return errors.ApiError(msg, status=error.status, reason=error.reason)
