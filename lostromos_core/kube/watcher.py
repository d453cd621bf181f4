"""Watch custom resources, or objects of any other kind, as the resources of a controller."""

from __future__ import annotations

import asyncio
import functools
import http
import random
from typing import TYPE_CHECKING, Any, final

import structlog

from lostromos_core import errors, interfaces
from lostromos_core.kube import labels, resource_events
from lostromos_core.kube.ownership import claims
from lostromos_core.kube.reporting import reporter
from lostromos_core.kube.transport import operations, paths
from lostromos_core.kube.watching import resource_cache, selection, watch_timings
from lostromos_core.kube.watching import watch as watching

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from lostromos_core.kube import cluster

_log = structlog.get_logger("lostromos.watcher")

LOOK_AGAIN, LAST_LOOK = 0.5, 60.0
"""Seconds until a failed check is retried: the first pause, doubled each time up to the last."""


@final
class KubernetesWatcher:
    """Watch one kind.

    ``namespaces``: only these; empty means all. ``labels``: a label selector, applied by the API server.
    ``annotation``: only objects with this annotation (``key``, with any value but "false", or ``key=value``).
    An object that starts to match counts as created. One that no longer matches is released: the objects that were
    applied for it are removed, the object itself stays.
    """

    can_dry_run = True

    def __init__(
        self,
        *,
        version: str,
        kind: str,
        group: str = "",
        namespaces: Sequence[str] = (),
        labels: str = "",
        annotation: str = "",
        timings: watch_timings.Timings | None = None,
    ) -> None:
        self.api_version = f"{group}/{version}" if group else version
        self.kind = kind
        self.selection = selection.Selection(tuple(namespaces), labels, annotation)
        self._timings = timings
        self._cache = resource_cache.ResourceCache(self.selection, self._is_held)
        self._listed: set[str] = set()

    @property
    def namespaces(self) -> Sequence[str]:
        """Return the namespaces of the selection, empty for all."""
        return self.selection.namespaces

    def overlaps(self, other: object) -> bool:
        """Return whether another watcher could select an object that this one selects."""
        if not isinstance(other, KubernetesWatcher):
            return False
        group, other_group = (interfaces.group_of(one.api_version) for one in (self, other))
        if (group, self.kind) != (other_group, other.kind):
            return False
        return self.selection.overlaps(other.selection)

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
        events = resource_events.Events(self._kube, self.api_version, self.kind, self._cache, self._reporter, sink)
        async with asyncio.TaskGroup() as group:
            for namespace in scopes:
                handler = resource_events.Handler(events, namespace, self._listed, waiting)
                group.create_task(self._watch_one(namespace, handler).run())
            group.create_task(self._look_around(waiting, sink))

    async def _look_around(self, waiting: set[str], sink: interfaces.EventSink) -> None:
        """Check the kind's status and find resources that left the selection unnoticed, after the initial list."""
        while waiting:  # noqa: ASYNC110 - the watches empty the set
            await asyncio.sleep(0.02)
        if self.namespaces or self.selection.labels:
            look = functools.partial(self._look_for_left, sink)
            await self._until(look, "resources that left the selection", meanwhile=sink.synced)
        sink.synced()
        if await self._until(self._reporter.check, "the status of the kind"):
            return
        while not await self._until(self._reporter.check, "the status of the kind"):  # noqa: ASYNC110 - polling
            await asyncio.sleep(reporter.LOOK_AGAIN)
        for key in self._cache:  # to write the status that could not be written before
            sink.enqueue(key)

    async def _until(
        self, look: Callable[[], Awaitable[bool]], what: str, *, meanwhile: Callable[[], None] = lambda: None
    ) -> bool:
        """Call ``look`` with exponential backoff until it succeeds; return its result. Failures call ``meanwhile``."""
        pause, said = LOOK_AGAIN, ""
        while True:
            try:
                return await look()
            except errors.ApiError as error:
                if str(error) != said:
                    said = str(error)
                    _log.warning("a check failed; it will be retried", what=what, reason=said)
                meanwhile()
            await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - jitter, not security
            pause = min(LAST_LOOK, pause * 2)

    async def _look_for_left(self, sink: interfaces.EventSink) -> bool:
        try:
            await self._find_left(sink)
        except errors.ApiError as error:
            if error.status != http.HTTPStatus.FORBIDDEN:
                raise
            _log.info("cannot search for resources that left the selection", reason=str(error))
        return True

    async def _find_left(self, sink: interfaces.EventSink) -> None:
        """Enqueue resources that carry our labels and annotations, but are no longer selected."""
        kind = await self._kube.discovery.kind(self.api_version, self.kind)
        path = paths.collection(self.api_version, kind.plural)
        action = f"look for {self.kind} that left the selection"
        unsure: list[str] = []
        async for metadata in operations.pages(self._kube, path, action=action, labels=labels.SET_ID):
            key = resource_cache.key_of(metadata)
            if key in self._cache:
                continue
            if self._claims.is_ours(metadata):
                self._cache.leave(key, str(metadata.get("uid", "")))
                sink.enqueue(key)
            elif self._claims.is_free(metadata):
                unsure.append(key)
        if unsure:
            _log.warning(
                "resources outside the selection belonged to this controller but do not name their "
                "operator; they are left alone. `lostromos cleanup` releases them",
                controller=self._controller, kind=self.kind, count=len(unsure), first=unsure[0],
            )  # fmt: skip

    def knows(self, key: str) -> bool:
        """Return whether the namespace of a key has been listed, so that a missing resource is known to be gone."""
        return bool({"", interfaces.split_key(key)[0]} & self._listed) or self._cache.left(key) is not None

    async def get(self, key: str) -> interfaces.Resource | None:
        """Return the latest known state; ``deleting`` is also set if it left the selection and is still ours."""
        item = self._cache.get(key)
        if item is None and (uid := self._cache.left(key)) is not None:
            left = await self._read_left(key, uid)
            item = self._cache.get(key) or left  # it may have been selected again meanwhile
        if item is None:
            return None
        metadata = item["metadata"]
        return interfaces.Resource(
            key=key,
            ref=interfaces.ObjectRef(self.api_version, self.kind, metadata.get("namespace") or "", metadata["name"]),
            uid=metadata.get("uid", ""),
            data=item,
            generation=int(metadata.get("generation") or 0),
            deleting="deletionTimestamp" in metadata or not self._cache.is_selected(metadata),
            unreadable=self._cache.why_unreadable(key),
        )

    async def report(self, resource: interfaces.Resource, report: interfaces.Report) -> None:
        """Write the status of a resource if it has changed; clear it if the resource was released. Raises ApiError."""
        key = resource.key
        if report.reason == interfaces.RELEASED:
            if self._cache.came_back(key):
                return  # it is selected again and enqueued: the next report covers that
            await self._reporter.clear(resource)
            if not self._cache.came_back(key):
                self._cache.forget(key)
                self._reporter.forget(key)
        elif self._cache.is_selected(resource.metadata):
            exists = await self._reporter.write(resource, report)
            if not exists and key in self._cache:  # the watch will report it; if not, the response was wrong
                msg = f"report on {resource.ref}: the API server says it does not exist, but the watch says it does"
                raise errors.ApiError(msg, status=404, reason="NotFound", retryable=True)

    def _is_held(self, metadata: Mapping[str, Any], known: bool) -> bool:  # noqa: FBT001 - called by the cache
        """Return whether we still have to clean up after an unselected resource, even if our labels are gone."""
        return self._claims.is_ours(metadata) or (known and self._claims.is_free(metadata))

    def _watch_one(self, namespace: str, handler: resource_events.Handler) -> watching.Watch:
        async def path() -> str:
            kind = await self._kube.discovery.kind(self.api_version, self.kind)
            if namespace and not kind.namespaced:
                msg = f"{self.kind} is cluster-scoped: remove `namespaces` from its `watch`"
                raise errors.ApiError(msg, status=400, retryable=False)
            return paths.collection(self.api_version, kind.plural, namespace)

        what = f"{self.kind} in {namespace or 'all namespaces'}"
        places = map(interfaces.split_key, self._cache)
        known = [place for place in places if namespace in {"", place[0]}]
        return watching.Watch(
            self._kube,
            path,
            handler,
            what=what,
            labels=self.selection.labels,
            known=known,
            timings=self._timings,
            permit=self._kube.list_limiter.permit(),
        )

    async def _read_left(self, key: str, uid: str) -> dict[str, Any] | None:
        """Return a resource that left the label selector, if it exists and no other controller has claimed it."""
        namespace, name = interfaces.split_key(key)
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
        self._cache.forget_left(key)  # it is gone, claimed by another controller, or recreated
        return None
