"""Write the status of resources of one kind: only fields that the kind declares, and only if it has changed."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any, Literal, final

import orjson
import structlog

from lostromos_core import errors, interfaces
from lostromos_core.kube import labels
from lostromos_core.kube.kinds import fitting, schema
from lostromos_core.kube.managed_fields import applying, owned_fields
from lostromos_core.kube.reporting import events, status, status_writer
from lostromos_core.kube.tracking import tracked_objects
from lostromos_core.kube.transport import api_errors, media_types, operations, paths

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from lostromos_core.kube import cluster

_log = structlog.get_logger("lostromos.status")

LOOK_AGAIN = 60.0
"""Seconds between two checks of a kind that declares no status: it may have been added, as we advise."""
READ_AGAIN = 600.0
"""Seconds after which the schema of a kind is read again for the next status: it may declare more by then."""
ODD = "the kind's status is not a mapping, so none can be written; Events say what is wrong"


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@final
class Reporter:
    """Write the status of one kind's resources, as their only writer for one controller."""

    def __init__(
        self,
        kube: cluster.Cluster,
        controller: str,
        api_version: str,
        kind: str,
        *,
        now: Callable[[], dt.datetime] = _now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kube = kube
        self._controller = controller
        self._api_version = api_version
        self._kind = kind
        self._now = now
        self._clock = clock
        self._read_at = 0.0
        self._schema: Mapping[str, Any] | None = None
        self._last: dict[str, tuple[str, int, bytes]] = {}
        self._said: tuple[bool, tuple[str, ...], tuple[str, ...]] | None = None
        self._spam = events.SpamFilter(clock)
        self._manager = f"{labels.MANAGER}{controller}/status"
        self._writer = status_writer.StatusWriter(kube, self._manager)
        self._told: dict[str, tuple[str, Mapping[str, Any]]] = {}
        self._is_odd = False

    def seen(self, key: str, version: int) -> None:
        """Record that the watch has seen a version of a resource: a status that we wrote by then is no longer kept."""
        last = self._last.get(key)
        if last is not None and version >= last[1]:
            del self._last[key]

    def forget(self, key: str) -> None:
        """Forget a resource that is gone."""
        self._last.pop(key, None)
        self._told.pop(key, None)
        self._spam.forget(key)
        self._writer.forget(key)

    async def write(self, resource: interfaces.Resource, report: interfaces.Report) -> bool:
        """Write the status for a report if it has changed; return whether the resource exists. Raises ApiError."""
        if not await self._can_write():
            await self._tell_only(resource, report)
            return True
        current = self._current(resource)
        wanted = status.desired(report, current, generation=resource.generation, now=self._now())
        declared = self._fitting(resource, wanted)
        if not declared or not status.differs(declared, current):
            return True
        kind = await self._kube.discovery.kind(self._api_version, self._kind)
        keeps = report.status is None and bool(current.keys() - status.OWN)
        try:
            version, draft = await self._writer.write(resource, kind, declared, self._schema or {}, keeps=keeps)
        except errors.ApiError as error:
            self._schema = None if error.reason == "SchemaError" else self._schema
            if error.status in api_errors.UNFIT:
                await self._tell(resource, "Warning", "StatusNotWritten", str(error))
            raise
        if not version:
            return False
        self._last[resource.key] = (
            resource.uid,
            version,
            orjson.dumps({**current, **draft.body} if keeps else draft.body),
        )
        if draft.said:
            await self._tell(resource, "Warning", "StatusNotWritten", "; ".join(draft.said))
        if news := status.news(report, current):
            await self._tell(resource, *news)
        return True

    def _fitting(self, resource: interfaces.Resource, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Return the part of a status that fits the schema of the kind."""
        declared = self._writer.possible(resource, fitting.fields(wanted, self._schema or {}))
        conditions: list[dict[str, Any]] = declared.get("conditions") or []
        if not conditions or "type" not in conditions[0]:
            declared.pop("conditions", None)  # their merge key is missing
        return declared

    async def _tell_only(self, resource: interfaces.Resource, report: interfaces.Report) -> None:
        """Write Events instead of a status, for a kind whose status we cannot write."""
        uid, said = self._told.get(resource.key, ("", {}))
        before = said if uid == resource.uid else {}
        if self._is_odd and not before:
            await self._tell(resource, "Warning", "StatusNotWritten", ODD)
        if news := status.news(report, before):
            await self._tell(resource, *news)
        ready = {"type": "Ready", "status": str(report.ready), "reason": report.reason}
        self._told[resource.key] = resource.uid, {"conditions": [{**ready, "message": errors.shorten(report.message)}]}

    async def clear(self, resource: interfaces.Resource) -> None:
        """Remove our status fields from a resource, unless another controller owns them by now; raises ApiError."""
        self.forget(resource.key)
        if not status.OWN & resource.status.keys() or not await self._can_write():
            return
        ref = resource.ref
        kind = await self._kube.discovery.kind(self._api_version, self._kind)
        path = paths.item(ref.api_version, kind.plural, ref.namespace, ref.name)
        live = await operations.read(self._kube, path, str(ref)) or {}
        owned = owned_fields.of(live.get("managedFields"), self._manager, "status").get("f:status") or {}
        said = {field for field in status.OWN & resource.status.keys() if f"f:{field}" in owned}
        if not said or live.get("uid") != resource.uid:
            return
        try:
            answer = await self._remove(resource, path, said, shared=self._others_report(live))
        except errors.ApiError as error:
            if not await operations.is_gone(self._kube, path, resource.uid, error):
                raise
            return
        rest = {field: value for field, value in resource.status.items() if field not in said}
        version = tracked_objects.number(answer["metadata"].get("resourceVersion"))
        self._last[resource.key] = resource.uid, version, orjson.dumps(rest)  # in case it is selected again immediately

    async def _remove(
        self, resource: interfaces.Resource, path: str, said: Collection[str], *, shared: bool
    ) -> interfaces.Json:
        """Remove fields of a status; if ``shared``, only fields that no other controller owns. Raises ApiError."""
        ref = resource.ref
        action = f"clear the status of {ref}"
        if not shared:
            body = {"metadata": {"uid": resource.uid}, "status": dict.fromkeys(said)}
            return await self._kube.request(
                "PATCH", f"{path}/status", action=action, body=body, content_type=media_types.MERGE,
                accept=media_types.METADATA_ONLY,
            )  # fmt: skip
        identity = {"name": ref.name, "uid": resource.uid} | ({"namespace": ref.namespace} if ref.namespace else {})
        return await applying.apply(  # an empty apply removes the fields that only we own
            self._kube,
            path,
            subresource="status",
            action=action,
            query=operations.apply_query(self._manager),
            body={"apiVersion": ref.api_version, "kind": ref.kind, "metadata": identity},
            accept=media_types.METADATA_ONLY,
        )

    def _others_report(self, metadata: Mapping[str, Any]) -> bool:
        """Return whether another controller has written to the status."""
        return any(
            str(entry.get("manager")).startswith(labels.MANAGER)
            and entry.get("manager") != self._manager
            and entry.get("subresource") == "status"
            for entry in metadata.get("managedFields") or ()
        )

    async def check(self) -> bool:
        """Return whether the kind has a status that we can write, and log missing fields once. Raises ApiError."""
        return await self._can_write()

    def _current(self, resource: interfaces.Resource) -> Mapping[str, Any]:
        """Return the current status: the one that we wrote last, if the watch has not seen it yet."""
        uid, version, last = self._last.get(resource.key, ("", 0, b""))
        seen: Mapping[str, Any] = resource.status
        if uid != resource.uid or tracked_objects.number(resource.metadata.get("resourceVersion")) >= version:
            self._last.pop(resource.key, None)
            return seen
        written: Mapping[str, Any] = orjson.loads(last)
        return written

    async def _can_write(self) -> bool:
        """Return whether the kind has a writable status; reread its schema regularly, and log what is missing."""
        kind = await self._kube.discovery.kind(self._api_version, self._kind)
        age = self._clock() - self._read_at
        lacks = not self._schema or "status" not in kind.subresources
        if self._schema is None or age > (LOOK_AGAIN if lacks else READ_AGAIN):
            if lacks and self._schema is not None:  # discovery reports the subresource, and is cached forever
                self._kube.discovery.forget(self._api_version, self._kind)
                kind = await self._kube.discovery.kind(self._api_version, self._kind)
            declared = await schema.status_schema(self._kube, self._api_version, self._kind)
            self._schema, self._read_at = schema.usable(declared), self._clock()
            self._is_odd = bool(declared) and not self._schema
            self._writer.forget_all()
            self._say_what_is_missing(has_subresource="status" in kind.subresources)
        return "status" in kind.subresources and bool(self._schema)

    def _say_what_is_missing(self, *, has_subresource: bool) -> None:
        """Log what the definition of the kind lacks, whenever that has changed."""
        known = self._schema or {}
        missing = schema.missing(known) + [f"{name} (declared for something else)" for name in schema.unfit(known)]
        said = (has_subresource, tuple(missing), tuple(schema.required(known)))
        if said == self._said:
            return
        self._said = said
        if not has_subresource:
            advice = "the kind has no status subresource; add `subresources: {status: {}}` to its definition"
            _log.warning(advice, kind=self._kind)
        elif missing:
            _log.warning(
                "the kind does not declare all status fields", kind=self._kind, missing=missing, add=schema.SNIPPET
            )
        if has_subresource and said[2]:
            advice = (
                "the kind requires status fields that are not ours; until another manager writes them, they hold the "
                "smallest values that fit; if none fits, no status is written; make them optional in its definition, "
                "or render them with a template for the status"
            )
            _log.warning(advice, kind=self._kind, required=said[2])

    async def _tell(
        self, resource: interfaces.Resource, kind: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        """Write an Event, unless there were too many recently."""
        if not self._spam.allows(resource.key):
            return
        await events.write(
            self._kube,
            resource.ref,
            uid=resource.uid,
            kind=kind,
            reason=reason,
            message=message,
            controller=self._controller,
        )
