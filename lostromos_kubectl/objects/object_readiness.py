"""Find the objects of an owner that are not ready, and why; read only those that changed since they were ready."""

from __future__ import annotations

import asyncio
import http
from typing import TYPE_CHECKING, Final, final

from lostromos_core import errors, interfaces
from lostromos_core.kube.reporting import binding, readiness
from lostromos_core.kube.tracking import tracked_objects
from lostromos_core.kube.transport import operations

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lostromos_core.kube import cluster
    from lostromos_kubectl.objects import desired_objects, memory

NOT_THERE: Final = "it is not there yet"
NOT_THERE_AGAIN: Final = 10.0
"""Seconds until an object that was not found is read again: the answer may have been wrong."""


@final
class Readiness:
    """Ask the cluster whether objects are ready."""

    def __init__(self, kube: cluster.Cluster) -> None:
        self._kube = kube

    async def unready(
        self, objects: Iterable[desired_objects.Desired], owned: memory.Owned
    ) -> dict[tracked_objects.Key, interfaces.ObjectResult]:
        """Return the objects that are not ready, and watch their status from now on. Raises ApiError."""
        owned.watches_status = True
        asked = [item for item in objects if not owned.is_ready(item.key)]
        answers = await asyncio.gather(*(self._why_not(item, owned) for item in asked))
        return {item.key: waits(item, why) for item, why in zip(asked, answers, strict=True) if why}

    async def _why_not(self, item: desired_objects.Desired, owned: memory.Owned) -> str:
        try:
            live = await operations.read_outline(self._kube, item.path, action=f"read {item.ref}")
        except errors.ApiError as error:
            if error.status == http.HTTPStatus.NOT_FOUND:
                return NOT_THERE
            raise
        why = readiness.why_not(live)
        if why and binding.is_unused(live):
            why = await binding.why_not(self._kube, live, why)
        if not why and item.key in owned.entries:
            owned.entries[item.key].ready_at = tracked_objects.number(live["metadata"].get("resourceVersion"))
        return errors.shorten(why, 300)


def waits(item: desired_objects.Desired, why: str, *, after: float | None = None) -> interfaces.ObjectResult:
    """Return the result of an object that is waited for, or that has to wait."""
    again = NOT_THERE_AGAIN if why == NOT_THERE else after
    return interfaces.ObjectResult(item.ref, interfaces.Action.WAITING, why, after=again)
