"""Correct what an apply alone would leave or remove on our objects, by moving fields between managers.

Three cases: another manager changed the key of a list item, so that an apply would add ours beside it; unowned fields
contradict what we set; a field is no longer set, and has to keep its value.
"""

from __future__ import annotations

import http
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

from lostromos_core import errors, interfaces
from lostromos_core.kube import labels
from lostromos_core.kube.managed_fields import field_sets, fields, last_applied
from lostromos_core.kube.tracking import tracked_objects
from lostromos_core.kube.transport import api_errors
from lostromos_kubectl.objects import desired_objects
from lostromos_kubectl.writing import places, recreation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from lostromos_core.kube import cluster
    from lostromos_kubectl.objects import memory
    from lostromos_kubectl.writing import ownership

_Result = TypeVar("_Result")
TRIES: Final = 5
"""Maximum number of retries for an object that changes in the meantime."""
SCALE: Final = ("f:spec", "f:replicas")
"""Field that the subresource ``scale`` of nearly all kinds sets: dropping it must not set its default."""


@final
class TakeOver:
    """Take over fields, and leave them, for one controller."""

    def __init__(self, kube: cluster.Cluster, manager: str, ownership_: ownership.Ownership) -> None:
        self._kube = kube
        self._manager = manager
        self._ownership = ownership_

    async def before(
        self, item: desired_objects.Desired, entry: memory.Entry, *, yields: bool
    ) -> interfaces.ObjectResult | None:
        """Ensure that the next write of an existing object removes what it should, and nothing else.

        ``yields``: items that other managers put in the place of ours are theirs.
        Returns a result if that was not possible, or is all that a dry run can do.
        """
        owned = entry.child.field_set(self._manager) if entry.child and entry.uid else None
        if owned is None or entry.adopted or item.directives.create_only:
            return None
        ours = owned.fields
        leaves = self._leaves(item, ours)
        lost = not yields and self._may_be_replaced(item, entry, ours)
        if not leaves and not lost:
            return None
        try:
            taken = lost and await self._again(item, lambda live: self._take_replaced(item, entry, live))
            if leaves:
                await self._again(item, lambda live: self._ownership.leave(item, live, leaves))
        except errors.LostromosError as error:
            return desired_objects.explain(item, error)
        if taken and self._kube.dry_run:
            message = "it would be repaired: a list item of the template was replaced by another one"
            return interfaces.ObjectResult(item.ref, interfaces.Action.UPDATED, message)
        return None

    async def _again(
        self, item: desired_objects.Desired, change: Callable[[Mapping[str, Any]], Awaitable[_Result]]
    ) -> _Result:
        """Change who owns what of a live object; retry if it changes in the meantime, for example by its controller.

        Raises ApiError.
        """
        for _ in range(TRIES):
            try:
                return await change(await self._ownership.read(item))
            except errors.ApiError as error:
                if error.status != http.HTTPStatus.CONFLICT or error.reason == api_errors.UID_MISMATCH:
                    raise
        return await change(await self._ownership.read(item))

    def _leaves(self, item: desired_objects.Desired, ours: Mapping[str, Any]) -> list[places.Path]:
        """Return the fields of ours that the template no longer sets, and that keep their values."""
        dropped = "scale" in item.kind.subresources and field_sets.at(ours, SCALE) is not None
        return [SCALE] if dropped and not _sets(item.body, SCALE) else []

    def _may_be_replaced(self, item: desired_objects.Desired, entry: memory.Entry, ours: Mapping[str, Any]) -> bool:
        """Return whether we have lost items of keyed lists, so that other items may have replaced them."""
        held = entry.held_fields.fields if entry.held_fields else None
        return places.may_be_replaced(item.body, ours, held, item.list_keys)

    async def _take_replaced(self, item: desired_objects.Desired, entry: memory.Entry, live: Mapping[str, Any]) -> bool:
        """Take over the items that replaced ours; return whether there were any. Raises ApiError."""
        held = entry.held_fields.fields if entry.held_fields else None
        applied = (live["metadata"].get("annotations") or {}).get(labels.FIELDS, "")
        same = entry.child is not None and entry.child.digest == item.digest

        def was_ours(path: Sequence[str | int], keys: Collection[str]) -> bool:
            in_held = held is not None and fields.owns(held, item.body, path, item.list_keys)
            return same or in_held or last_applied.holds(applied, item.body, path, keys)

        metadata = await self._ownership.take_replaced(item, live, entry.others, was_ours)
        if metadata is not None:
            self._look(item, entry, metadata)
        return metadata is not None

    def _look(self, item: desired_objects.Desired, entry: memory.Entry, metadata: Mapping[str, Any]) -> None:
        """Remember the state of an object after its field ownership was changed."""
        found = tracked_objects.read(item.kind, metadata)
        if found and not self._kube.dry_run:
            entry.child = found[0]

    async def after_refusal(
        self, item: desired_objects.Desired, entry: memory.Entry, answer: errors.ApiError
    ) -> list[places.Path]:
        """Take over unowned fields that contradict what we set, on an object that would be accepted as a new one.

        Returns what was taken. If there is any, write the object again, and if that is refused, too, ``give_back`` what
        was taken. Raises ApiError.
        """
        refused = [cause.field for cause in answer.causes if cause.field]
        if answer.status != http.HTTPStatus.UNPROCESSABLE_ENTITY or recreation.is_known(answer):
            return []

        async def take(live: Mapping[str, Any]) -> list[places.Path]:
            metadata, taken = await self._ownership.take_defaults(item, live, refused)
            if taken:
                self._look(item, entry, metadata)
            return taken

        return await self._again(item, take)

    async def give_back(self, item: desired_objects.Desired, entry: memory.Entry, taken: Sequence[places.Path]) -> None:
        """Undo ``after_refusal``; raises ApiError."""

        async def give(live: Mapping[str, Any]) -> None:
            self._look(item, entry, await self._ownership.give_back(item, live, taken))

        await self._again(item, give)


def _sets(body: interfaces.Json, path: places.Path) -> bool:
    """Return whether a body sets a field; a field in a list counts as set."""
    for step in path:
        if not step.startswith("f:"):
            return True
        if not isinstance(body, dict) or body.get(step[2:]) is None:
            return False
        body = body[step[2:]]
    return True
