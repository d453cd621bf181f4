"""Deletes objects, each by its uid, so that another one of the same name stays; or lets go of them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final, final

from lostromos_core import errors, interfaces
from lostromos_core.kube import client, marks, removal, requests
from lostromos_kubectl import desired, sending

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lostromos_core.kube import members

Action = interfaces.Action
HELD: Final = "its own finalizers hold it"
NOT_FOUND: Final = "the API server does not find it, and the watch still lists it"


@final
class Deleter:
    """Deletes what was applied for an owner."""

    def __init__(self, kube: client.Kube) -> None:
        self._kube = kube

    async def delete_all(self, found: Iterable[members.Child]) -> list[interfaces.ObjectResult]:
        """Delete the last wave, in reverse order; earlier ones when nothing of it is left."""
        ours = [child for child in found if child.ours]
        for _, wave in itertools.groupby(last_first(ours), key=lambda child: child.wave):
            results = [result for child in wave if (result := await self.delete(child)) is not None]
            if results:
                return results
        return []

    async def delete(self, child: members.Child) -> interfaces.ObjectResult | None:
        """Delete one object, and only this one, or let go of it; None when that is done."""
        try:
            if child.deleting:
                return await self._leaving(child)
            if child.orphan:
                await self.let_go(child)
                return None
            answer = await requests.delete(self._kube, child.path, child.uid, action=f"delete {child.ref}")
        except errors.ApiError as error:
            if requests.lacks_kind(error) and await self._is_removed(child):
                return None
            if error.status == sending.CONFLICT:  # a namespace says so when it is being deleted already
                there = await requests.read(self._kube, child.path, str(child.ref))
                if there is None or "deletionTimestamp" in there or there.get("uid") != child.uid:
                    return self._waits(child, there)
            return interfaces.ObjectResult(child.ref, Action.FAILED, str(error), retryable=error.retryable)
        why = self._why_not_gone(child, answer)
        return interfaces.ObjectResult(child.ref, Action.WAITING, why) if why else None

    async def _is_removed(self, child: members.Child) -> bool:
        """Return whether a kind that is not served as we knew it has been removed, with all of its objects."""
        self._kube.discovery.forget(child.kind.api_version, child.kind.name)
        return await removal.is_removed(self._kube, *child.key[:2])

    def _why_not_gone(self, child: members.Child, answer: Mapping[str, Any] | None) -> str:
        """Return why an object whose deletion was answered may still be there; nothing if it is gone."""
        if self._kube.dry_run:
            return ""
        if answer is None:  # a server that is starting says 404 of what it has
            return NOT_FOUND if self._kube.children.is_live(child) else ""
        return HELD if "deletionTimestamp" in (answer.get("metadata") or {}) else ""

    async def _leaving(self, child: members.Child) -> interfaces.ObjectResult | None:
        """Return a result for an object that is being deleted; ask only if no watch would tell that it is gone."""
        if self._kube.children.is_live(child):
            return interfaces.ObjectResult(child.ref, Action.WAITING, HELD)
        return self._waits(child, await requests.read(self._kube, child.path, str(child.ref)))

    @staticmethod
    def _waits(child: members.Child, there: Mapping[str, Any] | None) -> interfaces.ObjectResult | None:
        """Return a result for an object whose deletion has begun; None when it is gone."""
        held = there is not None and there.get("uid") == child.uid
        return interfaces.ObjectResult(child.ref, Action.WAITING, HELD) if held else None

    async def let_go(self, child: members.Child) -> None:
        """Take our marks off an object, and leave it where it is; raises ApiError."""
        own = dict.fromkeys((marks.OWNER, marks.HASH, marks.FIELDS, marks.UNIT))
        metadata = {"uid": child.uid, "labels": {marks.PART_OF: None}, "annotations": own}
        try:
            await self._kube.request_bytes(
                "PATCH",
                child.path,
                action=f"let go of {child.ref}",
                body={"metadata": metadata},
                content_type=client.MERGE,
                accept=client.METADATA_ONLY,
            )
        except errors.ApiError as error:
            if not await requests.is_gone(self._kube, child.path, child.uid, error):
                raise


def last_first(found: Iterable[members.Child]) -> list[members.Child]:
    """In the order of deletion: the last wave first, and within it, what was applied last."""
    return sorted(found, key=lambda child: (child.wave, desired.rank(child.kind.name)), reverse=True)
