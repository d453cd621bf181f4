"""Write a status by server-side apply, without fields of other field managers and fields that do not fit.

Fields of others are never taken over: those that our own apply does not own are left out, and a template's field
that another field manager owns is left to it. Fields that the API server rejects are left out, the rest is written.
"""

from __future__ import annotations

import dataclasses
import http
from typing import TYPE_CHECKING, Any, Final, final

from lostromos_core import errors
from lostromos_core.kube.kinds import placeholders
from lostromos_core.kube.managed_fields import applying, fields, owned_fields
from lostromos_core.kube.reporting import status
from lostromos_core.kube.tracking import tracked_objects
from lostromos_core.kube.transport import api_errors, media_types, operations, paths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lostromos_core import interfaces
    from lostromos_core.kube import cluster
    from lostromos_core.kube.kinds import discovery

ROUNDS: Final = 6
"""Maximum number of tries to write a status, if each response names fields to leave out."""
_REQUIRED: Final = "Required value"


@final
@dataclasses.dataclass(slots=True)
class Draft:
    """Hold a status that is being written. ``said`` lists for the author which fields were left out, and why."""

    resource: interfaces.Resource
    path: str
    schema: Mapping[str, Any]
    body: dict[str, Any]
    force: bool
    keeps: bool = False
    version: str = ""
    stopgaps: dict[str, Any] = dataclasses.field(default_factory=dict)
    said: list[str] = dataclasses.field(default_factory=list)


@final
@dataclasses.dataclass(slots=True)
class _Learnt:
    """Hold what responses for one resource have shown, for one ``state`` (uid and generation); ``made`` for its uid."""

    state: tuple[str, int] = "", 0
    unfit: set[str] = dataclasses.field(default_factory=set)
    others: list[Sequence[str | int]] = dataclasses.field(default_factory=list)
    made: frozenset[str] = frozenset()


@final
class StatusWriter:
    """Write the status of one kind's resources as one field manager."""

    def __init__(self, kube: cluster.Cluster, manager: str) -> None:
        self._kube = kube
        self._manager = manager
        self._learnt: dict[str, _Learnt] = {}

    def forget(self, key: str) -> None:
        """Forget what was learnt about a resource."""
        self._learnt.pop(key, None)

    def forget_all(self) -> None:
        """Forget what was learnt about all resources: the definition may have changed."""
        self._learnt.clear()

    def possible(self, resource: interfaces.Resource, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Return a status without the fields that were rejected for this generation of a resource."""
        learnt = self._learnt.get(resource.key)
        if learnt is None or learnt.state != _state(resource):
            return dict(wanted)
        kept = {name: value for name, value in wanted.items() if name not in learnt.unfit}
        found: dict[str, Any] = fields.without(kept, learnt.others)
        return found

    async def write(
        self,
        resource: interfaces.Resource,
        kind: discovery.Kind,
        wanted: Mapping[str, Any],
        schema: Mapping[str, Any],
        *,
        keeps: bool,
    ) -> tuple[int, Draft]:
        """Write a status; return the resource's new version (0 if it is gone), and the draft that was written.

        ``keeps``: fields that we wrote earlier and that are not in ``wanted`` stay. Raises ApiError.
        """
        ref = resource.ref
        path = paths.item(ref.api_version, kind.plural, ref.namespace, ref.name)
        force = wanted.keys() <= status.OWN
        draft = Draft(resource, path, schema, dict(wanted), force, keeps)
        for attempt in range(ROUNDS):
            try:
                metadata = await self._apply(draft)
            except errors.ApiError as error:
                if await operations.is_gone(self._kube, path, resource.uid, error):
                    return 0, draft
                if attempt == ROUNDS - 1 or not self._learn(draft, error):
                    raise
            else:
                break
        if made := draft.body.keys() - status.OWN:
            self._of(resource).made |= made
        if draft.stopgaps and not self._kube.dry_run:
            metadata = await self._disown(draft)
        return tracked_objects.number(metadata.get("resourceVersion")), draft

    def _of(self, resource: interfaces.Resource) -> _Learnt:
        """Return what was learnt about a resource; discard what no longer applies to it."""
        learnt = self._learnt.get(resource.key)
        if learnt is None or learnt.state[0] != resource.uid:
            learnt = self._learnt[resource.key] = _Learnt()
        if learnt.state != _state(resource):
            learnt.state, learnt.unfit, learnt.others = _state(resource), set(), []
        return learnt

    async def _apply(self, draft: Draft) -> Mapping[str, Any]:
        """Send a draft once; return the metadata of the response. Raises ApiError."""
        ref = draft.resource.ref
        metadata = {"name": ref.name, "uid": draft.resource.uid}
        if ref.namespace:
            metadata["namespace"] = ref.namespace
        written = await self._written(draft) if draft.keeps else {}
        if written:
            metadata["resourceVersion"] = draft.version  # another manager may own them by now
        answer = await applying.apply(
            self._kube,
            draft.path,
            subresource="status",
            action=f"report on {ref}",
            query=operations.apply_query(self._manager, force=draft.force),
            body={
                "apiVersion": ref.api_version,
                "kind": ref.kind,
                "metadata": metadata,
                "status": {**written, **draft.body, **draft.stopgaps},
            },
            accept=media_types.METADATA_ONLY,
        )
        found: Mapping[str, Any] = answer["metadata"]
        return found

    async def _written(self, draft: Draft) -> dict[str, Any]:
        """Return the template's fields that we have written and still own. Raises ApiError."""
        live = await operations.read_outline(self._kube, draft.path, action=f"read the status of {draft.resource.ref}")
        draft.version = live["metadata"].get("resourceVersion", "")
        ours = owned_fields.of(live["metadata"].get("managedFields"), self._manager, "status").get("f:status") or {}
        others = owned_fields.without(ours, status.OWN)
        found = owned_fields.select(others, live.get("status")) if others.keys() - {"."} else {}
        return found if isinstance(found, dict) else {}

    def _learn(self, draft: Draft, error: errors.ApiError) -> bool:
        """Adapt a draft to an error response; return whether another try is worthwhile."""
        if error.status == http.HTTPStatus.CONFLICT:
            return self._leave_to_others(draft, error) if error.causes else draft.keeps
        if error.status not in api_errors.UNFIT or not error.causes:
            return False
        changed = [self._leave_out(draft, cause) for cause in error.causes]
        return any(changed)

    def _leave_to_others(self, draft: Draft, error: errors.ApiError) -> bool:
        """Leave out fields that others own, and take over our own fields and those that we wrote before."""
        if draft.force:
            return False
        learnt = self._of(draft.resource)
        for cause in error.causes:
            path = fields.parse(cause.field.removeprefix("status."), draft.body)
            if not path or path[0] in status.OWN | learnt.made:
                continue
            learnt.others.append(path)
            draft.said.append(f"{cause.field} is left to its owner, {cause.who}")
        draft.body, draft.force = fields.without(draft.body, learnt.others), True
        return True

    def _leave_out(self, draft: Draft, cause: errors.Cause) -> bool:
        """Leave out a field that does not fit, or fill in a required one; return whether that was possible."""
        name = _top(cause.field)
        if name in draft.body:
            del draft.body[name]
            self._of(draft.resource).unfit.add(name)
            draft.said.append(f"status.{name} is not written: {cause}")
            return True
        if not cause.message.startswith(_REQUIRED) or cause.field != f"status.{name}" or name in draft.stopgaps:
            return False
        try:
            value = placeholders.smallest((draft.schema.get("properties") or {}).get(name) or {})
        except placeholders.NothingFits:
            return False
        draft.stopgaps[name] = value
        draft.said.append(
            f"{cause.field} is required and not set; until another manager sets it, its value is {value!r}"
        )
        return True

    async def _disown(self, draft: Draft) -> Mapping[str, Any]:
        """Give up ownership of fields that were filled in, so that others can write them. Raises ApiError."""
        live = await operations.read(self._kube, draft.path, str(draft.resource.ref)) or {}
        entries = [dict(entry) for entry in live.get("managedFields") or ()]
        for entry in entries:
            if (entry.get("manager"), entry.get("subresource")) == (self._manager, "status"):
                below = owned_fields.without(entry["fieldsV1"]["f:status"], frozenset(draft.stopgaps))
                entry["fieldsV1"] = {**entry["fieldsV1"], "f:status": below}
        metadata = {"uid": live["uid"], "resourceVersion": live["resourceVersion"], "managedFields": entries}
        answer = await self._kube.request(
            "PATCH",
            draft.path,
            action=f"give up fields of the status of {draft.resource.ref}",
            body={"metadata": metadata},
            content_type=media_types.MERGE,
            accept=media_types.METADATA_ONLY,
        )
        found: Mapping[str, Any] = answer["metadata"]
        return found


def _state(resource: interfaces.Resource) -> tuple[str, int]:
    """Return the uid and the generation of a resource."""
    return resource.uid, resource.generation


def _top(field: str) -> str:
    """Return the name of the top-level status field of a path; empty if the path is outside the status."""
    name = field.removeprefix("status.")
    for end in (".", "["):
        name = name.partition(end)[0]
    return name if field.startswith("status.") else ""
