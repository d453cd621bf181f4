"""Watch the releases of one controller by their Secrets' metadata: up-to-date releases cost no process."""

from __future__ import annotations

import asyncio
import http
from typing import TYPE_CHECKING, Any, Final, final

import structlog

from lostromos_core import errors
from lostromos_core.kube.transport import media_types, operations, paths
from lostromos_core.kube.watching import cache_sync, watch
from lostromos_helm.release import storage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lostromos_core.kube import cluster

Place = tuple[str, str]
"""Namespace and name of a release."""
_log = structlog.get_logger("lostromos.helm")
_MOMENT: Final = 1.0
_SECRET: Final = "Secret"  # noqa: S105 - a kind


@final
class Releases:
    """Hold the watched releases. ``changed`` is called with the newest revision of a release when it changes.

    ``namespaces``: those to watch; empty means all.
    """

    def __init__(
        self,
        kube: cluster.Cluster,
        controller: str,
        namespaces: Sequence[str],
        changed: Callable[[storage.Revision], None],
    ) -> None:
        self._kube = kube
        self._labels = f"owner=helm,{storage.CONTROLLER}={controller}"
        self._namespaces = tuple(namespaces) or ("",)
        self._changed = changed
        self._cache_syncs: dict[str, cache_sync.CacheSync] = {}
        self._asked: set[tuple[str, str]] = set()
        self._news = asyncio.Event()
        self._revisions: dict[Place, dict[int, storage.Revision]] = {}
        self._secrets: dict[Place, tuple[Place, int]] = {}
        self._places: dict[str, set[Place]] = {}

    async def ready(self, namespace: str = "") -> None:
        """Start watching, also in ``namespace`` if given, and wait for the first lists; raises ApiError."""
        more = {namespace} if namespace and self._namespaces != ("",) else set()
        for place in {*more, *self._namespaces}:
            if place not in self._cache_syncs:
                kind = await self._kube.discovery.kind("v1", _SECRET)
                needs = "give the operator the verbs list and watch on secrets (v1)"
                self._cache_syncs[place] = cache_sync.CacheSync(kind, why="watch the releases in", needs=needs)
                self._kube.background(self._watch(place).run, name=f"watch releases {place}")
            await self._cache_syncs[place].wait()

    async def look(self, namespace: str, owner: str) -> None:
        """List an owner's releases in a namespace once, unless it is watched; raises ApiError."""
        if self._namespaces == ("",) or namespace in self._cache_syncs or (namespace, owner) in self._asked:
            return
        action = f"look for earlier releases in {errors.shorten(namespace, 80)}"
        try:
            path = paths.collection("v1", "secrets", namespace)
            async for metadata in operations.pages(
                self._kube, path, action=action, labels=f"{self._labels},{storage.OWNER}={owner}"
            ):
                found = storage.read(metadata)
                if found is not None:
                    place = found.namespace, found.name
                    self._revisions.setdefault(place, {})[found.number] = found
                    self._note(place, found)
        except (errors.ApiError, errors.RefusedError) as error:  # anyone may have written the hint
            if isinstance(error, errors.ApiError) and error.status != http.HTTPStatus.FORBIDDEN:
                raise
            _log.warning("releases that may exist are not removed", error=str(error))
        self._asked.add((namespace, owner))

    def of(self, place: Place) -> list[storage.Revision]:
        """Return the revisions of a release that carry our labels, oldest first."""
        found = self._revisions.get(place, {})
        return [found[number] for number in sorted(found)]

    def owned_by(self, owner: str) -> list[storage.Revision]:
        """Return the newest revision of each release of an owner."""
        places = [place for place in self._places.get(owner, ()) if place in self._revisions]
        newest = (self._revisions[place][max(self._revisions[place])] for place in places)
        return [revision for revision in newest if revision.owner == owner]

    def forget(self, owner: str) -> None:
        """Forget an owner that is gone with its releases."""
        self._places.pop(owner, None)
        self._asked = {asked for asked in self._asked if asked[1] != owner}

    def newest(self) -> list[storage.Revision]:
        """Return the newest revision of each release."""
        return [found[max(found)] for found in self._revisions.values()]

    async def arrive(self, place: Place, number: int) -> None:
        """Wait until the watch sees a revision that Helm has just made; read it if that takes long."""
        try:
            async with asyncio.timeout(_MOMENT):
                while not any(one.number >= number and not one.pending for one in self.of(place)[-1:]):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            await self.refresh(place)

    async def refresh(self, place: Place) -> list[storage.Revision]:
        """Return the current revisions of a release, including those that are not ours; remember ours.

        Raises ApiError, ForgedError.
        """
        found = [revision async for revision in storage.history(self._kube, *place)]
        ours = {revision.number: revision for revision in found if revision.owner}
        for old in self.of(place):
            if old.number not in ours:
                self._secrets.pop((old.namespace, old.secret), None)
        if ours:
            self._revisions[place] = ours
            for one in ours.values():
                self._note(place, one)
        else:
            self._revisions.pop(place, None)
        return sorted(found, key=lambda revision: revision.number)

    def _watch(self, namespace: str) -> watch.Watch:
        async def path() -> str:
            return paths.collection("v1", "secrets", namespace)

        return watch.Watch(
            self._kube,
            path,
            _Handler(self, self._cache_syncs[namespace]),
            what=f"releases in {namespace or 'all namespaces'}",
            labels=self._labels,
            accept=(media_types.METADATA_ONLY, media_types.METADATA_LIST),
            permit=self._kube.list_limiter.permit(),
        )

    def put(self, revision: storage.Revision) -> None:
        """Store a revision that a watch found, and report it if it is news."""
        place = revision.namespace, revision.name
        known = self._revisions.setdefault(place, {})
        before = known.get(revision.number)
        if before is not None and before.version > revision.version:
            return
        known[revision.number] = revision
        self._note(place, revision)
        self._news.set()
        if revision.number == max(known) and (before is None or before.status != revision.status):
            self._changed(revision)

    def _note(self, place: Place, revision: storage.Revision) -> None:
        """Index a revision by its Secret, and its release by its owner."""
        self._secrets[revision.namespace, revision.secret] = place, revision.number
        self._places.setdefault(revision.owner, set()).add(place)

    def drop(self, namespace: str, secret: str) -> None:
        """Forget a revision whose Secret was deleted, and report that."""
        place, number = self._secrets.pop((namespace, secret), (None, 0))
        known = self._revisions.get(place) if place else None
        if place is None or known is None or number not in known:
            return
        gone = known.pop(number)
        if not known:
            del self._revisions[place]
        if not known or number > max(known):
            self._changed(gone)


@final
class _Handler:
    """Handle the watch events of one namespace."""

    def __init__(self, releases: Releases, arrived: cache_sync.CacheSync) -> None:
        self._releases = releases
        self._cache_sync = arrived

    def changed(self, item: dict[str, Any]) -> None:
        found = storage.read(item["metadata"])
        if found is not None:
            self._releases.put(found)

    def gone(self, namespace: str, name: str) -> None:
        self._releases.drop(namespace, name)

    def broken(self, item: dict[str, Any], reason: str) -> None:
        """Skip metadata that cannot be decoded: Helm did not write it."""

    def synced(self) -> None:
        self._cache_sync.synced()

    def trouble(self, error: errors.ApiError | None) -> None:
        self._cache_sync.trouble(error)
