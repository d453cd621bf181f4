"""Delete objects, each by its uid, so that another object of the same name stays; or release them."""

from __future__ import annotations

import dataclasses
import http
import itertools
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

from lostromos_core import errors, interfaces
from lostromos_core.kube import labels
from lostromos_core.kube.kinds import discovery
from lostromos_core.kube.tracking import children
from lostromos_core.kube.transport import media_types, operations
from lostromos_kubectl.objects import desired_objects

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from lostromos_core.kube import cluster
    from lostromos_core.kube.tracking import tracked_objects

Action = interfaces.Action
Answer = TypeVar("Answer")
HELD: Final = "its own finalizers hold it"
GOING: Final = "it is about to go"
NOT_FOUND: Final = "the API server does not find it, but the watch still lists it"


@final
class Deleter:
    """Delete what was applied for an owner."""

    def __init__(self, kube: cluster.Cluster) -> None:
        self._kube = kube
        self._children = kube.shared(children.Children)

    async def delete_all(self, found: Iterable[tracked_objects.TrackedObject]) -> list[interfaces.ObjectResult]:
        """Delete the last wave, in reverse order; delete earlier waves once nothing of it is left."""
        ours = [child for child in found if child.ours]
        for _, wave in itertools.groupby(last_first(ours), key=lambda child: child.wave):
            results = [result for child in wave if (result := await self.delete(child)) is not None]
            if results:
                return results
        return []

    async def delete(self, child: tracked_objects.TrackedObject) -> interfaces.ObjectResult | None:
        """Delete one object, and only this one, or release it; return None when that is done."""
        try:
            if child.orphan and not child.deleting:
                await self.let_go(child)
                return None
            return await self._wherever(child, self._leaving if child.deleting else self._delete)
        except errors.ApiError as error:
            if error.reason == discovery.UNAVAILABLE and self._children.is_live(child):
                return interfaces.ObjectResult(child.ref, Action.WAITING, NOT_FOUND)
            return interfaces.ObjectResult(child.ref, Action.FAILED, str(error), retryable=error.retryable)

    async def _wherever(
        self, child: tracked_objects.TrackedObject, act: Callable[[tracked_objects.TrackedObject], Awaitable[Answer]]
    ) -> Answer | None:
        """Act on an object in the version that is served; return None if its kind was removed. Raises ApiError."""
        try:
            return await act(child)
        except errors.ApiError as error:
            if not operations.lacks_kind(error):
                raise
        kind = await self._kube.removals.elsewhere(child.kind)
        return await act(dataclasses.replace(child, kind=kind)) if kind else None

    async def _delete(self, child: tracked_objects.TrackedObject) -> interfaces.ObjectResult | None:
        """Delete an object; return None if it is gone already. Raises ApiError."""
        try:
            answer = await operations.delete(self._kube, child.path, child.uid, action=f"delete {child.ref}")
        except errors.ApiError as error:
            if error.status == http.HTTPStatus.CONFLICT:  # as for a namespace that is being deleted already
                there = await operations.find(self._kube, child.path, str(child.ref))
                if there is None or "deletionTimestamp" in there or there.get("uid") != child.uid:
                    return self._waits(child, there)
            raise
        why = self._why_not_gone(child, answer)
        return interfaces.ObjectResult(child.ref, Action.WAITING, why) if why else None

    def _why_not_gone(self, child: tracked_objects.TrackedObject, answer: Mapping[str, Any] | None) -> str:
        """Return why an object may still exist after its deletion was answered; empty if it is gone."""
        if self._kube.dry_run:
            return ""
        if answer is None:  # a starting server answers 404 for existing objects
            return NOT_FOUND if self._children.is_live(child) else ""
        metadata = answer.get("metadata") or {}
        if "deletionTimestamp" not in metadata:
            return ""
        return HELD if metadata.get("finalizers") else GOING

    async def _leaving(self, child: tracked_objects.TrackedObject) -> interfaces.ObjectResult | None:
        """Return a result for an object that is being deleted; ask the API only if no watch would report the end."""
        if self._children.is_live(child):
            return interfaces.ObjectResult(child.ref, Action.WAITING, HELD)
        return self._waits(child, await operations.find(self._kube, child.path, str(child.ref)))

    @staticmethod
    def _waits(child: tracked_objects.TrackedObject, there: Mapping[str, Any] | None) -> interfaces.ObjectResult | None:
        """Return a result for an object whose deletion has begun; None when it is gone."""
        held = there is not None and there.get("uid") == child.uid
        return interfaces.ObjectResult(child.ref, Action.WAITING, HELD) if held else None

    async def let_go(self, child: tracked_objects.TrackedObject) -> None:
        """Remove our labels and annotations from an object, and leave it in place; raises ApiError."""
        await self._wherever(child, self._let_go)

    async def _let_go(self, child: tracked_objects.TrackedObject) -> None:
        own = dict.fromkeys((labels.OWNER, labels.HASH, labels.FIELDS, labels.UNIT))
        metadata = {"uid": child.uid, "labels": {labels.PART_OF: None}, "annotations": own}
        try:
            await self._kube.request_bytes(
                "PATCH",
                child.path,
                action=f"release {child.ref}",
                body={"metadata": metadata},
                content_type=media_types.MERGE,
                accept=media_types.METADATA_ONLY,
            )
        except errors.ApiError as error:
            if not await operations.is_gone(self._kube, child.path, child.uid, error):
                raise


def last_first(found: Iterable[tracked_objects.TrackedObject]) -> list[tracked_objects.TrackedObject]:
    """Return objects in the order of deletion: the last wave first, and within it, the last applied first."""
    return sorted(found, key=lambda child: (child.wave, desired_objects.rank(child.kind.name)), reverse=True)
