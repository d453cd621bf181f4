"""Pick up objects that exist already: our own from earlier, and foreign ones that a template adopts."""

from __future__ import annotations

import http
from typing import TYPE_CHECKING, Any, final

from lostromos_core import errors
from lostromos_core.kube import labels
from lostromos_core.kube.ownership import inventory
from lostromos_core.kube.tracking import tracked_objects
from lostromos_core.kube.transport import media_types, operations, paths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lostromos_core import interfaces
    from lostromos_core.kube import cluster
    from lostromos_kubectl.objects import desired_objects, memory
    from lostromos_kubectl.writing import ownership


@final
class TakeUp:
    """Pick up existing objects for one controller."""

    def __init__(self, kube: cluster.Cluster, manager: str, ownership_: ownership.Ownership) -> None:
        self._kube = kube
        self._manager = manager
        self._ownership = ownership_

    async def take_up(self, item: desired_objects.Desired, entry: memory.Entry, owner: interfaces.Resource) -> None:
        """Pick up an object that exists already, if it is ours, or if the template adopts it.

        Raises RefusedError, and ApiError, also if it is being deleted.
        """
        metadata = await operations.read(self._kube, item.path, str(item.ref))
        if metadata is None:
            return
        if "deletionTimestamp" in metadata:
            msg = f"{item.ref} is being deleted; it will be created again when it is gone"
            raise errors.ApiError(msg, status=http.HTTPStatus.CONFLICT, retryable=True)
        if not inventory.belongs_to(metadata, owner.ref):
            await self._refuse_foreign(item, metadata, owner)
            await self._take_shared(item, metadata)
        elif item.directives.create_only:
            metadata = await self._mark(item, metadata)
        found = tracked_objects.read(item.kind, metadata)
        entry.uid, entry.child = metadata["uid"], found[0] if found else None
        entry.adopted = found is None or not found[0].ours

    async def _take_shared(self, item: desired_objects.Desired, metadata: Mapping[str, Any]) -> None:
        """Become the only owner of what we set on an adopted object; if that fails, the apply will report why."""
        if self._kube.dry_run or item.directives.create_only:
            return
        try:
            await self._ownership.take_shared(item, {"metadata": metadata})
        except errors.ApiError as error:
            if error.retryable or error.status == http.HTTPStatus.CONFLICT:
                raise  # it keeps changing: the next try may succeed

    async def _refuse_foreign(
        self, item: desired_objects.Desired, metadata: Mapping[str, Any], owner: interfaces.Resource
    ) -> None:
        """Raise RefusedError for a foreign object, unless the template adopts it, and no other owner has it."""
        if not item.directives.adopt:
            msg = (
                f"{item.ref} exists and does not belong to {owner.ref}; rename one of them, delete the existing "
                f'object, or let the template take it over with the annotation {labels.ADOPT}: "true"'
            )
            raise errors.RefusedError(msg)
        written = labels.read_owner((metadata.get("annotations") or {}).get(labels.OWNER, ""))
        if written is not None and inventory.belongs_to(metadata, written[0]):
            other = written[0]
            kind = await self._kube.discovery.by_group_kind(other.group, other.kind)
            path = kind and paths.item(kind.api_version, kind.plural, other.namespace, other.name)
            if path and await operations.read(self._kube, path, str(other)) is not None:
                msg = f"{item.ref} already belongs to {other}, and cannot be adopted by {owner.ref} as well; rename it"
                raise errors.RefusedError(msg)

    async def _mark(self, item: desired_objects.Desired, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        """Restore our ownership label on an object of ours that is never written again; return its new metadata."""
        if tracked_objects.read(item.kind, metadata) is not None:
            return metadata
        own = item.body["metadata"]
        answer = await self._kube.request(
            "PATCH",
            item.path,
            action=f"mark {item.ref}",
            query=operations.apply_query(self._manager),
            body={"metadata": {"uid": metadata["uid"], "labels": {labels.PART_OF: own["labels"][labels.PART_OF]}}},
            content_type=media_types.MERGE,
            accept=media_types.METADATA_ONLY,
        )
        found: Mapping[str, Any] = answer["metadata"]
        return found
