"""Pass the events of a watcher's watches to its cache, its reporter and the queue."""

from __future__ import annotations

import http
from typing import TYPE_CHECKING, Any, final

import structlog

from lostromos_core.kube.tracking import tracked_objects
from lostromos_core.kube.watching import resource_cache

if TYPE_CHECKING:
    from lostromos_core import errors, interfaces
    from lostromos_core.kube import cluster
    from lostromos_core.kube.reporting import reporter

_log = structlog.get_logger("lostromos.watcher")


@final
class Events:
    """Pass on the events of the watches of all namespaces."""

    def __init__(  # noqa: PLR0917 - the parts it connects
        self,
        kube: cluster.Cluster,
        api_version: str,
        kind: str,
        cache: resource_cache.ResourceCache,
        reports: reporter.Reporter,
        sink: interfaces.EventSink,
    ) -> None:
        self._kube = kube
        self._api_version = api_version
        self._kind = kind
        self._cache = cache
        self._reporter = reports
        self._sink = sink
        self._troubles: dict[str, str] = {}

    def changed(self, item: dict[str, Any], unreadable: str = "") -> None:
        """Cache a resource, and enqueue it if it has changed."""
        metadata = item["metadata"]
        if not metadata.get("name"):
            _log.error("an object and its name cannot be read", kind=self._kind, reason=unreadable)
            return
        version = tracked_objects.number(metadata.get("resourceVersion", ""))
        self._reporter.seen(resource_cache.key_of(metadata), version)
        key = self._cache.put(item, unreadable)
        if key is not None:
            self._sink.enqueue(key)

    def gone(self, namespace: str, name: str) -> None:
        """Forget a deleted resource, and enqueue it."""
        key = resource_cache.key_of({"namespace": namespace, "name": name})
        self._cache.drop(key)
        self._reporter.forget(key)
        self._sink.enqueue(key)

    def trouble(self, namespace: str, error: errors.ApiError | None) -> None:
        """Report why a namespace cannot be watched, together with the errors of the other namespaces."""
        if error is not None and error.status == http.HTTPStatus.NOT_FOUND:
            self._kube.discovery.forget(self._api_version, self._kind)
        self._troubles.pop(namespace, None)
        if error is not None:
            self._troubles[namespace] = self._explain(error)
        self._sink.trouble("; ".join(self._troubles.values()))

    def _explain(self, error: errors.ApiError) -> str:
        """Return the error message, with what to do about it if known."""
        if error.status == http.HTTPStatus.FORBIDDEN:
            return f"{error}; give the operator the verbs get, list and watch on {self._kind} ({self._api_version})"
        return str(error)


@final
class Handler:
    """Handle the events of the watch of one namespace.

    When the first list is complete, the namespace is added to ``listed`` and removed from ``waiting``.
    """

    def __init__(self, events: Events, namespace: str, listed: set[str], waiting: set[str]) -> None:
        self._events = events
        self._namespace = namespace
        self._listed = listed
        self._waiting = waiting

    def changed(self, item: dict[str, Any]) -> None:
        """Handle an object that was added or modified."""
        self._events.changed(item)

    def broken(self, item: dict[str, Any], reason: str) -> None:
        """Handle the readable part of an object that cannot be decoded."""
        self._events.changed(item, reason)

    def gone(self, namespace: str, name: str) -> None:
        """Handle an object that was deleted."""
        self._events.gone(namespace, name)

    def synced(self) -> None:
        """Record that the first list is complete."""
        self._listed.add(self._namespace)
        self._waiting.discard(self._namespace)

    def trouble(self, error: errors.ApiError | None) -> None:
        """Report why the namespace cannot be watched; None if it can be watched again."""
        self._events.trouble(self._namespace, error)
