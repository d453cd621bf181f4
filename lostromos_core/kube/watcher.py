"""KubernetesWatcher: custom resources, or objects of any other kind, as the resources of a controller."""

from __future__ import annotations

import asyncio
import functools
import http
import random
from typing import TYPE_CHECKING, Any, final

import structlog

from lostromos_core import errors, interfaces
from lostromos_core.kube import labels
from lostromos_core.kube.ownership import claims
from lostromos_core.kube.reporting import reporter
from lostromos_core.kube.tracking import tracked_objects
from lostromos_core.kube.transport import operations, paths
from lostromos_core.kube.watching import store
from lostromos_core.kube.watching import watch as watching

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from lostromos_core.kube import cluster

_log = structlog.get_logger("lostromos.watcher")

LOOK_AGAIN, LAST_LOOK = 0.5, 60.0
"""Seconds until it is tried again to look for what left the selection: doubled each time, first to last."""


@final
class KubernetesWatcher:
    """Watches one kind.

    ``namespaces``: only these; none means all. ``labels``: a label selector, applied by the API server.
    ``annotation``: only objects with this annotation (``key``, with any value but "false", or ``key=value``).
    An object that begins to match counts as created, one that no longer does is released: what was applied for it
    is removed, the object itself stays.
    """

    can_dry_run = True

    def __init__(  # noqa: PLR0913 - a selection has this many parts
        self,
        *,
        version: str,
        kind: str,
        group: str = "",
        namespaces: Sequence[str] = (),
        labels: str = "",
        annotation: str = "",
        timings: watching.Timings | None = None,
    ) -> None:
        self.api_version = f"{group}/{version}" if group else version
        self.kind = kind
        self.namespaces = tuple(namespaces)
        self._labels = labels
        self._annotation = annotation
        self._timings = timings
        self._store = store.Store()
        self._unreadable: dict[str, tuple[str, int]] = {}
        self._left: dict[str, str] = {}
        self._scopes: set[str] = set()
        self._troubles: dict[str, str] = {}

    def overlaps(self, other: object) -> bool:
        """Whether another watcher could select an object that this one selects."""
        if not isinstance(other, KubernetesWatcher):
            return False
        group, other_group = (one.api_version.rpartition("/")[0] for one in (self, other))
        if (group, self.kind) != (other_group, other.kind):
            return False
        if self.namespaces and other.namespaces and not set(self.namespaces) & set(other.namespaces):
            return False
        return not _differ(_equalities(self._labels), _equalities(other._labels)) and not _differ(  # noqa: SLF001 - its twin
            _equalities(self._annotation),
            _equalities(other._annotation),  # noqa: SLF001 - its twin
        )

    async def start(self, runtime: interfaces.Runtime) -> None:
        """Connect to the cluster; raises ConfigError."""
        self._kube: cluster.Cluster = runtime.kube
        self._controller = runtime.controller
        self._claims = claims.Claims(self._kube, runtime.controller, runtime.operator)
        await self._kube.connect()
        self._reporter = reporter.Reporter(self._kube, runtime.controller, self.api_version, self.kind)

    async def watch(self, sink: interfaces.EventSink) -> None:
        """Watch all namespaces of the selection until cancelled."""
        scopes = self.namespaces or ("",)
        waiting = set(scopes)
        async with asyncio.TaskGroup() as group:
            for namespace in scopes:
                handler = _Handler(self, namespace, sink, waiting)
                group.create_task(self._watch_one(namespace, handler).run())
            group.create_task(self._look_around(waiting, sink))

    async def _look_around(self, waiting: set[str], sink: interfaces.EventSink) -> None:
        """When all is known: say which status fields are missing, and find what left the selection unnoticed."""
        while waiting:  # noqa: ASYNC110 - it is emptied by the watches
            await asyncio.sleep(0.02)
        if self.namespaces or self._labels:
            look = functools.partial(self._look_for_left, sink)
            await self._until(look, "resources that left the selection", meanwhile=sink.synced)
        sink.synced()
        if await self._until(self._reporter.check, "the status of the kind"):
            return
        while not await self._until(self._reporter.check, "the status of the kind"):  # noqa: ASYNC110 - a definition
            await asyncio.sleep(reporter.LOOK_AGAIN)
        for key in self._store:  # the status that could not be written before
            sink.enqueue(key)

    async def _until(
        self, look: Callable[[], Awaitable[bool]], what: str, *, meanwhile: Callable[[], None] = lambda: None
    ) -> bool:
        """Look until that works, in longer and longer intervals; return what was found. ``meanwhile``: if it fails."""
        pause, said = LOOK_AGAIN, ""
        while True:
            try:
                return await look()
            except errors.ApiError as error:
                if str(error) != said:
                    said = str(error)
                    _log.warning("cannot be looked for now, it will be tried again", what=what, reason=said)
                meanwhile()
            await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - spreads load, guards nothing
            pause = min(LAST_LOOK, pause * 2)

    async def _look_for_left(self, sink: interfaces.EventSink) -> bool:
        try:
            await self._find_left(sink)
        except errors.ApiError as error:
            if error.status != http.HTTPStatus.FORBIDDEN:
                raise
            _log.info("resources that left the selection cannot be looked for", reason=str(error))
        return True

    async def _find_left(self, sink: interfaces.EventSink) -> None:
        """Ring for resources that carry our marks, but are no longer selected."""
        kind = await self._kube.discovery.kind(self.api_version, self.kind)
        path = paths.collection(self.api_version, kind.plural)
        action = f"look for {self.kind} that left the selection"
        unsure: list[str] = []
        async for metadata in operations.pages(self._kube, path, action=action, labels=labels.SET_ID):
            key = _key(metadata.get("namespace") or "", metadata["name"])
            if key in self._store:
                continue
            if self._claims.is_ours(metadata):
                self._left[key] = str(metadata.get("uid", ""))
                sink.enqueue(key)
            elif self._claims.is_free(metadata):
                unsure.append(key)
        if unsure:
            _log.warning(
                "resources outside of the selection were looked after by this controller, and do not say of which "
                "operator; they are left alone. `lostromos cleanup` releases them",
                controller=self._controller, kind=self.kind, count=len(unsure), first=unsure[0],
            )  # fmt: skip

    def knows(self, key: str) -> bool:
        """Whether the namespace of a key has been listed, so that what is not there is gone."""
        return bool({"", key.rpartition("/")[0]} & self._scopes) or key in self._left

    async def get(self, key: str) -> interfaces.Resource | None:
        """The newest known state; ``deleting`` also for what left the selection and still carries our marks."""
        item = self._store.get(key)
        if item is None and key in self._left:
            left = await self._read_left(key, self._left[key])
            item = self._store.get(key) or left  # it may have come back meanwhile
        if item is None:
            return None
        metadata = item["metadata"]
        return interfaces.Resource(
            key=key,
            ref=interfaces.ObjectRef(self.api_version, self.kind, metadata.get("namespace") or "", metadata["name"]),
            uid=metadata.get("uid", ""),
            data=item,
            generation=int(metadata.get("generation") or 0),
            deleting="deletionTimestamp" in metadata or not self._is_selected(key, metadata),
            unreadable=self._unreadable.get(key, ("", 0))[0],
        )

    async def report(self, resource: interfaces.Resource, report: interfaces.Report) -> None:
        """Write the status of a resource, if it says something new; raises ApiError. What was released has none."""
        key = resource.key
        if report.reason == interfaces.RELEASED:
            if self._came_back(key):
                return  # again: that it came back has rung, and the next report is about that
            await self._reporter.clear(resource)
            if not self._came_back(key):
                self._left.pop(key, None)
                self._store.drop(key)
                self._reporter.forget(key)
        elif self._is_selected(key, resource.metadata):
            exists = await self._reporter.write(resource, report)
            if not exists and key in self._store:  # the watch will tell; if it does not, the answer was wrong
                msg = (
                    f"report on {resource.ref}: the API server says that it does not exist, and the watch that it does"
                )
                raise errors.ApiError(msg, status=404, reason="NotFound", retryable=True)

    def _is_selected(self, key: str, metadata: Mapping[str, Any]) -> bool:
        """Whether a resource is selected in this state, and has not left."""
        return key not in self._left and self._selects(metadata)

    def _came_back(self, key: str) -> bool:
        """Whether a resource that is released is selected in its newest known state."""
        item = self._store.get(key)
        return item is not None and self._is_selected(key, item["metadata"])

    def _watch_one(self, namespace: str, handler: _Handler) -> watching.Watch:
        async def path() -> str:
            kind = await self._kube.discovery.kind(self.api_version, self.kind)
            if namespace and not kind.namespaced:
                msg = f"{self.kind} is cluster-scoped: remove `namespaces` from its `watch`"
                raise errors.ApiError(msg, status=400, retryable=False)
            return paths.collection(self.api_version, kind.plural, namespace)

        what = f"{self.kind} in {namespace or 'all namespaces'}"
        places = (key.rpartition("/")[::2] for key in self._store)
        known = [place for place in places if namespace in {"", place[0]}]
        return watching.Watch(
            self._kube,
            path,
            handler,
            what=what,
            labels=self._labels,
            known=known,
            timings=self._timings,
            permit=self._kube.list_limiter.permit(),
        )

    def _selects(self, metadata: Mapping[str, Any]) -> bool:
        if not self._annotation:
            return True
        key, equals, wanted = self._annotation.partition("=")
        value = (metadata.get("annotations") or {}).get(key)
        return value == wanted if equals else value is not None and value != "false"

    async def _read_left(self, key: str, uid: str) -> dict[str, Any] | None:
        """A resource that a label selector no longer selects, if it still exists and nobody else looks after it."""
        namespace, _, name = key.rpartition("/")
        kind = await self._kube.discovery.kind(self.api_version, self.kind)
        path = paths.item(self.api_version, kind.plural, namespace, name)
        try:
            item = await operations.read_outline(self._kube, path, action=f"read {self.kind} {key}")
        except errors.ApiError as error:
            if error.status != http.HTTPStatus.NOT_FOUND:
                raise
            item = {}
        if item and item["metadata"].get("uid") == uid and self._claims.is_free(item["metadata"]):
            return item
        self._left.pop(key, None)  # it is gone, or is another's, or another one of that name
        return None

    def _keep(self, item: dict[str, Any], unreadable: str = "") -> str | None:
        """Keep what the watch found; its key if it is news."""
        metadata = item["metadata"]
        key = _key(metadata.get("namespace") or "", metadata["name"])
        self._reporter.seen(key, tracked_objects.number(metadata.get("resourceVersion", "")))
        edited = False
        if unreadable:
            edited = self._unreadable.get(key) != (unreadable, metadata.get("generation", 0))
            self._unreadable[key] = unreadable, metadata.get("generation", 0)
        else:
            self._unreadable.pop(key, None)
        if not self._selects(metadata) and not self._holds(key, metadata):
            return key if self._store.drop(key) else None
        self._left.pop(key, None)
        return key if self._store.put(key, item) or edited else None

    def _holds(self, key: str, metadata: Mapping[str, Any]) -> bool:
        """Whether a resource that is not selected is still ours to clean up after, whoever removed our marks."""
        return self._claims.is_ours(metadata) or (key in self._store and self._claims.is_free(metadata))

    def _drop(self, namespace: str, name: str) -> str:
        key = _key(namespace, name)
        uid = self._store.uid(key)
        self._store.drop(key)
        self._unreadable.pop(key, None)
        self._reporter.forget(key)
        if self._labels and uid is not None:
            self._left[key] = uid
        return key


def _equalities(selector: str) -> dict[str, str]:
    """The ``key=value`` parts of a selector."""
    pairs = (part.replace("==", "=").partition("=") for part in selector.split(",") if "!" not in part)
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def _differ(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return any(other.get(key, value) != value for key, value in one.items())


def _key(namespace: str, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


@final
class _Handler:
    """Gives what one watch finds to the watcher, and rings."""

    def __init__(
        self, watcher: KubernetesWatcher, namespace: str, sink: interfaces.EventSink, waiting: set[str]
    ) -> None:
        self._watcher = watcher
        self._namespace = namespace
        self._sink = sink
        self._waiting = waiting

    def changed(self, item: dict[str, Any]) -> None:
        key = self._watcher._keep(item)  # noqa: SLF001 - the watcher's other half
        if key is not None:
            self._sink.enqueue(key)

    def gone(self, namespace: str, name: str) -> None:
        self._sink.enqueue(self._watcher._drop(namespace, name))  # noqa: SLF001 - the watcher's other half

    def broken(self, item: dict[str, Any], reason: str) -> None:
        if not item["metadata"].get("name"):
            _log.error("an object cannot be read, nor can its name", kind=self._watcher.kind, reason=reason)
            return
        key = self._watcher._keep(item, reason)  # noqa: SLF001 - the watcher's other half
        if key is not None:
            self._sink.enqueue(key)

    def synced(self) -> None:
        self._watcher._scopes.add(self._namespace)  # noqa: SLF001 - the watcher's other half
        self._waiting.discard(self._namespace)  # when all are there, the watcher looks around, and says so

    def trouble(self, error: errors.ApiError | None) -> None:
        if error is not None and error.status == http.HTTPStatus.NOT_FOUND:
            self._watcher._kube.discovery.forget(self._watcher.api_version, self._watcher.kind)  # noqa: SLF001 - as above
        troubles = self._watcher._troubles  # noqa: SLF001 - as above
        troubles.pop(self._namespace, None)
        if error is not None:
            troubles[self._namespace] = _explain(error, self._watcher)
        self._sink.trouble("; ".join(troubles.values()))


def _explain(error: errors.ApiError, watcher: KubernetesWatcher) -> str:
    """The error, with the way out where we know one."""
    if error.status == http.HTTPStatus.FORBIDDEN:
        return f"{error}; give the operator the verbs get, list and watch on {watcher.kind} ({watcher.api_version})"
    return str(error)
