"""Writes the status of resources of one kind: only what the kind declares, and only what is new."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, final

import structlog

from lostromos_core import errors, interfaces
from lostromos_core.kube import client, events, paths, schema, status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_log = structlog.get_logger("lostromos.status")
_GONE = frozenset({404, 409})
"""The resource was deleted, or deleted and created again, since we read it: nobody is left to read the status."""


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@final
class Reporter:
    """The one writer of the status of one kind's resources, for one controller."""

    def __init__(
        self,
        kube: client.Kube,
        controller: str,
        api_version: str,
        kind: str,
        *,
        now: Callable[[], dt.datetime] = _now,
    ) -> None:
        self._kube = kube
        self._controller = controller
        self._api_version = api_version
        self._kind = kind
        self._now = now
        self._schema: Mapping[str, Any] | None = None
        self._last: dict[str, tuple[str, dict[str, Any]]] = {}

    def forget(self, key: str) -> None:
        """The resource is gone."""
        self._last.pop(key, None)

    async def write(self, resource: interfaces.Resource, report: interfaces.Report) -> None:
        """Write what a report says, if it says something new; raises ApiError."""
        if not await self._can_write():
            return
        current = self._current(resource)
        wanted = status.desired(report, current, generation=resource.generation, now=self._now())
        declared = schema.keep_declared(wanted, self._schema or {})
        if not declared or not status.differs(declared, current):
            return
        await self._send(resource, declared)
        self._last[resource.key] = (resource.uid, declared)
        if resource.unreadable:
            await self._write_event(resource, report)

    def _current(self, resource: interfaces.Resource) -> Mapping[str, Any]:
        """What the status says: what we wrote last, since the watch may not have brought it back yet."""
        uid, last = self._last.get(resource.key, ("", {}))
        seen: Mapping[str, Any] = resource.data.get("status") or {}
        return last if uid == resource.uid and last else seen

    async def _can_write(self) -> bool:
        """Whether the kind has a status to write to; reads its schema once, and says what is missing."""
        kind = await self._kube.discovery.kind(self._api_version, self._kind)
        if self._schema is None:
            declared = await schema.status_schema(self._kube, self._api_version, self._kind)
            self._schema = declared or {}
            self._say_what_is_missing(has_subresource="status" in kind.subresources)
        return "status" in kind.subresources and bool(self._schema)

    def _say_what_is_missing(self, *, has_subresource: bool) -> None:
        known = self._schema or {}
        if known.get("x-kubernetes-preserve-unknown-fields") and has_subresource:
            return
        missing = [field for field in schema.STATUS_FIELDS if field not in (known.get("properties") or {})]
        if not has_subresource:
            _log.warning(
                "the kind has no status subresource; add `subresources: {status: {}}` to its definition",
                kind=self._kind,
            )
        elif missing:
            _log.warning(
                "the kind does not declare all status fields", kind=self._kind, missing=missing, add=schema.SNIPPET
            )

    async def _send(self, resource: interfaces.Resource, declared: Mapping[str, Any]) -> None:
        ref = resource.ref
        kind = await self._kube.discovery.kind(self._api_version, self._kind)
        metadata = {"name": ref.name, "uid": resource.uid}
        if ref.namespace:
            metadata["namespace"] = ref.namespace
        body = {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": metadata, "status": declared}
        try:
            await self._kube.request_bytes(
                "PATCH",
                paths.item(ref.api_version, kind.plural, ref.namespace, ref.name, "status"),
                action=f"report on {ref}",
                query={"fieldManager": f"lostromos/{self._controller}/status", "force": "true"},
                body=body,
                content_type=client.APPLY,
                accept=client.METADATA_ONLY,
            )
        except errors.ApiError as error:
            if error.status not in _GONE:
                self._schema = None if error.reason == "SchemaError" else self._schema
                raise

    async def _write_event(self, resource: interfaces.Resource, report: interfaces.Report) -> None:
        await events.write(
            self._kube,
            resource.ref,
            uid=resource.uid,
            kind="Normal" if report.ready else "Warning",
            reason=report.reason,
            message=report.message,
            controller=self._controller,
        )
