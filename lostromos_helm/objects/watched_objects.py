"""Watch the objects of releases: whether they are ready, and whether another field manager wrote to them.

There is one watch per kind, for objects with Helm's label. Only metadata is requested where readiness needs no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import http
import time
from typing import TYPE_CHECKING, Any, Final, final

import orjson

from lostromos_core.kube.reporting import readiness
from lostromos_core.kube.tracking import expiry, tracked_objects
from lostromos_core.kube.transport import media_types
from lostromos_core.kube.watching import cache_sync, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lostromos_core import errors, interfaces
    from lostromos_core.kube import cluster
    from lostromos_core.kube.kinds import discovery
    from lostromos_helm.release import releases

LABELS: Final = {"app.kubernetes.io/managed-by": "Helm"}
"""Labels that Helm sets on each object of a release. Source: https://helm.sh/docs/chart_best_practices/labels/"""
RELEASE: Final = "meta.helm.sh/release-name"
NAMESPACE: Final = "meta.helm.sh/release-namespace"
MANAGER: Final = "helm"
"""Helm's name as a field manager."""
_MOMENT: Final = 2.0
"""Seconds to wait until the watch sees what Helm has just applied."""
REMEMBERED: Final = 10_000
"""Deleted Jobs for which it is remembered how they ended."""
_SOON: Final = 0.7
"""Seconds to wait for objects to become ready before they are reported as not ready."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """Describe one object. ``why_not``: why it is not ready. ``writers``: who else wrote what, empty if none.

    ``held`` is a digest of what Helm owns: a client that only removes a field of Helm's owns nothing itself. ``end``:
    how it has ended, if it is a Job. ``api_version``: the version in which it was last seen.
    """

    uid: str
    version: int
    place: releases.Place
    why_not: str
    writers: str
    held: str
    end: expiry.End = expiry.End.NONE
    api_version: str = ""


@final
class WatchedObjects:
    """Hold the watched objects of releases. ``changed`` is called with the release of an object that changes."""

    def __init__(self, kube: cluster.Cluster, changed: Callable[[releases.Place], None]) -> None:
        self._kube = kube
        self._changed = changed
        self._handlers: dict[tuple[str, str, str], _Handler] = {}
        self._seen: dict[tracked_objects.Key, Seen] = {}
        self._went: dict[tracked_objects.Key, expiry.End] = {}
        self._news = asyncio.Event()

    async def ensure(self, kind: discovery.Kind, namespace: str) -> None:
        """Watch a kind, in one namespace or (empty) everywhere, and wait for the first list; raises ApiError."""
        key = kind.api_version, kind.plural, namespace
        handler = self._handlers.get(key)
        if handler is None:
            handler = self._handlers[key] = _Handler(self, kind, namespace)
            self._kube.background(self._watch(handler, kind, namespace).run, name=f"watch releases' {kind.plural}")
        await handler.cache_sync.wait()

    def get(self, key: tracked_objects.Key) -> Seen | None:
        """Return an object if it exists and carries Helm's label, else None."""
        return self._seen.get(key)

    def end(self, key: tracked_objects.Key) -> expiry.End | None:
        """Return how a deleted Job had ended; None if its deletion was not seen."""
        return self._went.get(key)

    async def settle(self, keys: Sequence[tracked_objects.Key]) -> None:
        """Wait briefly until what Helm has just applied is seen, and is ready if that is soon."""
        deadline = time.monotonic() + _SOON
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_MOMENT):
                while not all(self._is_settled(key, deadline) for key in keys):
                    self._news.clear()
                    async with asyncio.timeout(_SOON):
                        await self._news.wait()

    def _is_settled(self, key: tracked_objects.Key, deadline: float) -> bool:
        seen = self._seen.get(key)
        return seen is not None and (not seen.why_not or time.monotonic() > deadline)

    def _watch(self, handler: _Handler, kind: discovery.Kind, namespace: str) -> watch.Watch:
        path = watch.collection_of(self._kube, kind, namespace)
        metadata = readiness.at_once(*kind.group_kind)
        return watch.Watch(
            self._kube,
            path,
            handler,
            what=f"{kind.plural} of releases in {namespace or 'all namespaces'}",
            labels=",".join(f"{key}={value}" for key, value in LABELS.items()),
            accept=(media_types.METADATA_ONLY, media_types.METADATA_LIST)
            if metadata
            else (media_types.JSON, media_types.JSON),
            permit=self._kube.list_limiter.permit(),
        )

    def put(self, key: tracked_objects.Key, seen: Seen, *, known: bool) -> None:
        """Store the newest state of an object, and report changes if the first list is complete (``known``)."""
        before = self._seen.get(key)
        self._seen[key] = seen
        self._went.pop(key, None)
        self._news.set()
        if not known:
            return  # callers wait for the whole list
        if before is None or _says(before) != _says(seen):
            self._changed(seen.place)
        if before is not None and before.place != seen.place:  # its annotations now name another release
            self._changed(before.place)

    def drop(self, key: tracked_objects.Key) -> None:
        """Forget an object that was deleted, and report the change."""
        seen = self._seen.pop(key, None)
        if seen is not None:
            if key[:2] == expiry.JOB:
                self._went[key] = seen.end
                while len(self._went) > REMEMBERED:
                    del self._went[next(iter(self._went))]
            self._changed(seen.place)

    def lose(self, kind: discovery.Kind) -> None:
        """Report the releases of a kind's objects: the kind may be served, and must be watched, in another version."""
        self._kube.discovery.forget(kind.api_version, kind.name)
        for place in {seen.place for key, seen in self._of(kind) if seen.api_version == kind.api_version}:
            self._changed(place)

    def arrived(self, kind: discovery.Kind, namespace: str) -> None:
        """Drop objects that were seen in versions no longer served and are not in this one."""
        group_kind = kind.group_kind
        handlers = [one for one in self._handlers.values() if one.kind.group_kind == group_kind]
        lost = {one.kind.api_version for one in handlers if one.lost} - {kind.api_version}
        for key, seen in self._of(kind) if lost else ():
            if seen.api_version in lost and namespace in {"", key[2]}:
                self.drop(key)

    def _of(self, kind: discovery.Kind) -> list[tuple[tracked_objects.Key, Seen]]:
        return [(key, seen) for key, seen in self._seen.items() if key[:2] == kind.group_kind]


@final
class _Handler:
    """Handle the watch events of one kind; ``lost`` while the version is not served."""

    def __init__(self, live: WatchedObjects, kind: discovery.Kind, namespace: str) -> None:
        needs = f"give the operator the verbs list and watch on {kind.plural} ({kind.api_version})"
        self.cache_sync = cache_sync.CacheSync(kind, why="watch", needs=needs)
        self.lost = False
        self._live = live
        self.kind = kind
        self._namespace = namespace

    def changed(self, item: dict[str, Any]) -> None:
        metadata = item["metadata"]
        annotations = metadata.get("annotations") or {}
        key = self._key(metadata.get("namespace") or "", metadata["name"])
        if RELEASE not in annotations:
            self._live.drop(key)
            return
        item = {**item, "apiVersion": self.kind.api_version, "kind": self.kind.name}
        seen = Seen(
            uid=metadata.get("uid", ""),
            version=tracked_objects.number(metadata.get("resourceVersion", "")),
            place=(annotations.get(NAMESPACE, ""), annotations[RELEASE]),
            why_not=readiness.why_not(item),
            writers=_writers(item),
            held=held_of(item),
            end=expiry.by_status(item) if self.kind.group_kind == expiry.JOB else expiry.End.NONE,
            api_version=self.kind.api_version,
        )
        self._live.put(key, seen, known=self.cache_sync.complete)

    def gone(self, namespace: str, name: str) -> None:
        self._live.drop(self._key(namespace, name))

    def broken(self, item: dict[str, Any], reason: str) -> None:  # noqa: ARG002 - required by the protocol
        """Handle what can be read: the metadata and the status suffice."""
        if item["metadata"].get("name"):
            self.changed(item)

    def synced(self) -> None:
        self.lost = False
        self._live.arrived(self.kind, self._namespace)
        self.cache_sync.synced()

    def trouble(self, error: errors.ApiError | None) -> None:
        if error is not None and error.status == http.HTTPStatus.NOT_FOUND and not self.lost:
            self.lost = True
            self._live.lose(self.kind)
        self.cache_sync.trouble(error)

    def _key(self, namespace: str, name: str) -> tracked_objects.Key:
        return (*self.kind.group_kind, namespace, name)


def belongs(metadata: Mapping[str, Any], place: releases.Place) -> bool:
    """Return whether an object is a release's: annotations name it, or do not contradict it and Helm wrote it."""
    annotations = metadata.get("annotations") or {}
    said = annotations.get(NAMESPACE), annotations.get(RELEASE)
    if said == place:
        return True
    if said[0] not in {None, place[0]} or said[1] not in {None, place[1]}:
        return False
    return any(_is_helms(entry) for entry in metadata.get("managedFields") or ())


def _says(seen: Seen) -> tuple[str, ...]:
    """Return the fields whose change is reported."""
    return seen.uid, seen.why_not, seen.writers, seen.held


def held_of(item: Mapping[str, Any]) -> str:
    """Return a digest of the fields that Helm owns, without their values.

    It includes the generation: managed fields in a version no longer served do not reflect changes.
    """
    metadata = item["metadata"]
    owned = [entry.get("fieldsV1") for entry in metadata.get("managedFields") or () if _is_helms(entry)]
    return _digest([metadata.get("generation"), owned]) if owned else ""


def _is_helms(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("manager") == MANAGER) and entry.get("subresource") != "status"


def _digest(content: interfaces.Json) -> str:
    return hashlib.blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


def _writers(item: Mapping[str, Any]) -> str:
    """Return the other writers, their times, and a digest; while these are equal, nothing has changed again.

    Times are whole seconds, so they do not distinguish a second change from the first.
    """
    metadata = item["metadata"]
    others = [
        f"{entry.get('manager')} {entry.get('operation')} {entry.get('subresource') or ''} {entry.get('time')}"
        for entry in metadata.get("managedFields") or ()
        if entry.get("manager") != MANAGER and entry.get("subresource") != "status"
    ]
    if not others:
        return ""
    rest = {key: value for key, value in item.items() if key not in {"apiVersion", "kind", "metadata", "status"}}
    content = rest or metadata.get("resourceVersion")
    return "; ".join([*sorted(others), _digest(content)])
