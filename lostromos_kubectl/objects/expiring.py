"""Track Jobs that removed themselves after they ended: they are not run again for the same template.

Since nothing is left of such a Job, its owner records that it was made. If it is gone, and was not seen unfinished, it
has done its work.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, final

import orjson

from lostromos_core import interfaces
from lostromos_core.kube.tracking import expiry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lostromos_core.kube.ownership import inventory_hints
    from lostromos_core.kube.tracking import tracked_objects
    from lostromos_kubectl.objects import desired_objects, memory

Action = interfaces.Action
Results = dict["tracked_objects.Key", interfaces.ObjectResult]
MOST: Final = 100
"""Maximum number of remembered Jobs per owner."""


@final
class Expiring:
    """Track which Jobs of an owner removed themselves."""

    def __init__(self, inventory_: inventory_hints.Inventory) -> None:
        self._inventory = inventory_

    def recall(self, owner: interfaces.Resource, owned: memory.Owned) -> None:
        """Load what an earlier process made, once the inventory has been read."""
        if owned.ran is None:
            owned.ran = set(self._inventory.ran(owner))

    @staticmethod
    def forget(owned: memory.Owned) -> None:
        """Forget which Jobs ran, since everything is to be applied again: they run once more."""
        owned.ran = set()
        for entry in owned.entries.values():
            entry.ended = "", expiry.End.NONE

    def split(
        self, objects: Sequence[desired_objects.Desired], owned: memory.Owned
    ) -> tuple[Sequence[desired_objects.Desired], Results]:
        """Return the objects to manage, and a result for each object that keeps later waves from beginning.

        Jobs that completed and removed themselves are left out of both: they are up to date.
        """
        ends = {item.key: end for item in objects if (end := _end(item, owned))}
        if not ends:
            return objects, {}
        failed = [item for item in objects if ends.get(item.key) is expiry.End.FAILED]
        first = min((item.directives.wave for item in failed), default=None)
        results = {item.key: _waits(item, expiry.End.FAILED.value) for item in failed}
        later = [
            item for item in objects if first is not None and item.directives.wave > first and item.key not in ends
        ]
        results |= {
            item.key: _waits(item, f"wave {first} has failed") for item in later if item.key not in owned.entries
        }
        return [item for item in objects if item.key not in ends and item.key not in results], results

    async def remember(
        self,
        owner: interfaces.Resource,
        objects: Iterable[desired_objects.Desired],
        owned: memory.Owned,
        results: Mapping[tracked_objects.Key, interfaces.ObjectResult],
    ) -> None:
        """Record on the owner which Jobs were made; raises ApiError."""
        going = {_name(item): item for item in objects if expiry.goes_by_itself(item.body)}
        made = {name for name, item in going.items() if _was_made(results.get(item.key))}
        before = owned.ran or set()
        if made <= before:
            return
        owned.ran = {name for name in going if name in before or name in made}
        await self._inventory.remember_ran(owner, sorted(owned.ran)[:MOST])


def _end(item: desired_objects.Desired, owned: memory.Owned) -> expiry.End:
    """Return how a Job that is gone, or is being deleted, has ended."""
    if not expiry.goes_by_itself(item.body):
        return expiry.End.NONE
    entry = owned.entries.get(item.key)
    if entry is None:
        return expiry.End.COMPLETE if _name(item) in (owned.ran or ()) else expiry.End.NONE
    child = entry.child
    if child is None:
        return entry.ended[1] if entry.ended[0] == item.digest else expiry.End.NONE
    return child.end if child.deleting and child.digest == item.digest else expiry.End.NONE


def _was_made(result: interfaces.ObjectResult | None) -> bool:
    return result is not None and result.action in {Action.CREATED, Action.UPDATED, Action.UNCHANGED}


def _name(item: desired_objects.Desired) -> str:
    """Return a hash that identifies a Job as rendered."""
    return hashlib.blake2b(orjson.dumps([*item.key, item.digest]), digest_size=6).hexdigest()


def _waits(item: desired_objects.Desired, why: str) -> interfaces.ObjectResult:
    return interfaces.ObjectResult(item.ref, Action.WAITING, why)
