"""What an apply alone would leave, or take along, on an object of ours: put right by moving fields between managers.

Three cases: somebody changed the key of a list's item, so that an apply would add ours beside it; what nobody owns
contradicts what we set; a field is set no longer, and has to keep its value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, final

from lostromos_core import errors, interfaces
from lostromos_core.kube import answers, fields, fieldsets, fights, marks, members, remembered, requests
from lostromos_kubectl import desired as desired_
from lostromos_kubectl import places, recreation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from lostromos_core.kube import client
    from lostromos_kubectl import memory, ownership

_Result = TypeVar("_Result")
INVALID: Final = recreation.INVALID
TRIES: Final = 5
"""How often an object that changes meanwhile is looked at again."""
SCALE: Final = ("f:spec", "f:replicas")
"""What the subresource ``scale`` of nearly all kinds that have one sets: dropping it must not bring its default."""


@final
class TakeOver:
    """Takes fields over, and leaves them, for one controller."""

    def __init__(self, kube: client.Kube, manager: str, ownership_: ownership.Ownership) -> None:
        self._kube = kube
        self._manager = manager
        self._ownership = ownership_

    async def before(self, item: desired_.Desired, entry: memory.Entry) -> interfaces.ObjectResult | None:
        """Before an object is written again, see that the write will remove what it should, and nothing else.

        Returns a result if that was not possible, or is all that a dry run can do.
        """
        shape = entry.child.shape(self._manager) if entry.child and entry.uid else None
        if shape is None or entry.adopted or item.said.create_only:
            return None
        ours = shape.fields
        leaves = self._leaves(item, entry, ours)
        lost = self._may_be_replaced(item, entry, ours)
        if not leaves and not lost:
            return None
        try:
            taken = lost and await self._again(item, lambda live: self._take_replaced(item, entry, live, entry.others))
            if leaves:
                await self._again(item, lambda live: self._ownership.leave(item, live, leaves))
        except errors.LostromosError as error:
            return desired_.explain(item, error)
        if taken and self._kube.dry_run:
            message = "it would be repaired: somebody put an item of a list in the place of one of the template"
            return interfaces.ObjectResult(item.ref, interfaces.Action.UPDATED, message)
        return None

    async def _again(
        self, item: desired_.Desired, change: Callable[[Mapping[str, Any]], Awaitable[_Result]]
    ) -> _Result:
        """Change who owns what of a live object; once more, if it changes meanwhile, as by its controller.

        Raises ApiError.
        """
        for _ in range(TRIES):
            try:
                return await change(await self._ownership.read(item))
            except errors.ApiError as error:
                if error.status != requests.CONFLICT or error.reason == answers.UID_MISMATCH:
                    raise
        return await change(await self._ownership.read(item))

    def _leaves(self, item: desired_.Desired, entry: memory.Entry, ours: Mapping[str, Any]) -> list[places.Path]:
        """Fields of ours that the template sets no longer, and that shall keep their values."""
        chosen = set(entry.contested) if entry.fight and entry.fight.repairs >= fights.FREE_REPAIRS else set()
        if "scale" in item.kind.subresources:
            chosen.add(SCALE)
        return [path for path in sorted(chosen) if fieldsets.at(ours, path) is not None and not _sets(item.body, path)]

    def _may_be_replaced(self, item: desired_.Desired, entry: memory.Entry, ours: Mapping[str, Any]) -> bool:
        """Whether we have lost items of lists with keys, so that it is worth to look what is there instead of them."""
        held = entry.held_fields.fields if entry.held_fields else None
        return places.may_be_replaced(item.body, ours, held, item.list_keys)

    async def _take_replaced(
        self,
        item: desired_.Desired,
        entry: memory.Entry,
        live: Mapping[str, Any],
        known: frozenset[places.Path] | None,
        refused: Sequence[str] = (),
    ) -> bool:
        """Take over what was put in the place of items of ours; whether there was any. Raises ApiError."""
        held = entry.held_fields.fields if entry.held_fields else None
        applied = (live["metadata"].get("annotations") or {}).get(marks.FIELDS, "")
        same = entry.child is not None and entry.child.digest == item.digest

        def was_ours(path: Sequence[str | int]) -> bool:
            if refused and not any(_leads_to(path, fields.parse(field, item.body)) for field in refused):
                return False
            in_held = held is not None and fields.owns(held, item.body, path, item.list_keys)
            return same or in_held or remembered.holds(applied, item.body, path)

        metadata = await self._ownership.take_replaced(item, live, known, was_ours)
        if metadata is not None:
            self._look(item, entry, metadata)
        return metadata is not None

    def _look(self, item: desired_.Desired, entry: memory.Entry, metadata: Mapping[str, Any]) -> None:
        """Remember what an object is like after who owns what was changed."""
        found = members.read(item.kind, metadata)
        if found and not self._kube.dry_run:
            entry.child = found[0]

    async def after_refusal(self, item: desired_.Desired, entry: memory.Entry, answer: errors.ApiError) -> bool:
        """Take over what somebody put in the place of ours, or else defaults that contradict what we set.

        Returns whether there was any, so that it is worth to write the object again. Raises ApiError.
        """
        refused = [cause.field for cause in answer.causes if cause.field]
        if self._kube.dry_run or answer.status != INVALID or not refused or recreation.is_known(answer):
            return False

        async def take(live: Mapping[str, Any]) -> bool:
            if await self._take_replaced(item, entry, live, frozenset(), refused):
                return True
            metadata = await self._ownership.take_defaults(item, live, refused)
            if metadata is not None:
                self._look(item, entry, metadata)
            return metadata is not None

        return await self._again(item, take)


def _sets(body: Any, path: places.Path) -> bool:  # noqa: ANN401 - any JSON value
    """Whether a body sets a field; what is in a list counts as set."""
    for step in path:
        if not step.startswith("f:"):
            return True
        if not isinstance(body, dict) or body.get(step[2:]) is None:
            return False
        body = body[step[2:]]
    return True


def _leads_to(path: Sequence[str | int], field: Sequence[str | int]) -> bool:
    """Whether a field is in the list that a path to an item leads into."""
    return list(field[: len(path) - 1]) == list(path[:-1])
