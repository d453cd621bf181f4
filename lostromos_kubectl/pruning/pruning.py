"""Delete what is no longer rendered: within the budget, and wave by wave from the last, as a deletion does.

A wave is pruned when nothing of the later ones is left: an object held by a finalizer may still need earlier waves.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from typing import TYPE_CHECKING, Final, final

from lostromos_core import interfaces
from lostromos_core.kube.tracking import children
from lostromos_kubectl.pruning import deletion, prune

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lostromos_core.kube import cluster
    from lostromos_core.kube.tracking import tracked_objects
    from lostromos_kubectl.objects import memory
    from lostromos_kubectl.pruning import census

Action = interfaces.Action
Results = dict["tracked_objects.Key", interfaces.ObjectResult]
CONFIRM: Final = 10.0
"""Seconds until an object is deleted again that was not found, and that its watch still lists."""


@final
class Pruner:
    """Prune the objects of one controller's owners."""

    def __init__(
        self,
        runtime: interfaces.Runtime,
        deleter: deletion.Deleter,
        budget: prune.Budget,
        census_: census.Census,
    ) -> None:
        kube: cluster.Cluster = runtime.kube
        self._children = kube.shared(children.Children)
        self._runtime = runtime
        self._deleter = deleter
        self._budget = budget
        self._census = census_

    async def delete_unwanted(
        self,
        owner: interfaces.Resource,
        owned: memory.Owned,
        wanted: Collection[tracked_objects.Key],
        units: Mapping[str, bool],
    ) -> Results:
        """Delete what is neither wanted nor kept by a waiting unit; see ``prune.unwanted``."""
        results = _gone(owned, wanted)
        there = [entry.child for entry in owned.entries.values() if entry.child is not None]
        to_prune, leaving = prune.unwanted(there, wanted, units), prune.leaving(there, wanted, units)
        if denial := self._denial(owner, owned, to_prune, len(there)):
            waiting = interfaces.ObjectResult(owner.ref, Action.WAITING, denial.why, after=denial.after)
            return results | {child.key: dataclasses.replace(waiting, ref=child.ref) for child in to_prune}
        return results | await self._in_order([*to_prune, *leaving], owned, owner)

    def _denial(
        self,
        owner: interfaces.Resource,
        owned: memory.Owned,
        to_prune: Sequence[tracked_objects.TrackedObject],
        there: int,
    ) -> prune.Denial | None:
        """Return why these objects may not be pruned; once granted, they may be until the last is gone."""
        uids = {child.uid for child in to_prune}
        if uids <= owned.granted:
            self._budget.settled(owner.key)
            owned.granted = uids
            return None
        look = self._runtime.first_look
        everything = self._census.total if look.over else self._children.count(owner.ref.group, owner.ref.kind)
        found = self._budget.denial(owner, len(to_prune), there, everything=everything, look=look)
        if found is None:
            self._budget.settled(owner.key, len(to_prune))
            owned.granted = uids
        return found

    async def _in_order(
        self, unwanted: Sequence[tracked_objects.TrackedObject], owned: memory.Owned, owner: interfaces.Resource
    ) -> Results:
        """Delete the last wave, and each earlier one when nothing of the later ones is left."""
        results: Results = {}
        held: interfaces.ObjectResult | None = None
        for _, group in itertools.groupby(deletion.last_first(unwanted), key=lambda child: child.wave):
            children = list(group)
            if held is not None:
                why = f"{held.ref} has to go first"
                waiting = [interfaces.ObjectResult(child.ref, Action.WAITING, why) for child in children]
                results.update(zip((child.key for child in children), waiting, strict=True))
                continue
            for child in children:
                results[child.key] = result = await self._prune(child, owned)
                if result.message == deletion.NOT_FOUND:
                    asyncio.get_running_loop().call_later(CONFIRM, self._runtime.enqueue, owner.key)
                held = held if result.action is Action.PRUNED else held or result
        return results

    async def _prune(self, child: tracked_objects.TrackedObject, owned: memory.Owned) -> interfaces.ObjectResult:
        """Delete one object; it counts as pruned when it is gone, and is waited for until then."""
        owned.pruned.add(child.uid)  # before the request: the watch may be faster than the answer
        result = await self._deleter.delete(child)
        seen_to_go = child.uid not in owned.pruned
        if result is None or (seen_to_go and result.action is Action.WAITING):
            owned.entries.pop(child.key, None)
            owned.going.pop(child.uid, None)
            return interfaces.ObjectResult(child.ref, Action.PRUNED)
        owned.pruned.discard(child.uid)
        if result.action is Action.WAITING:
            owned.going[child.uid] = child.ref
        return result


def _gone(owned: memory.Owned, wanted: Collection[tracked_objects.Key]) -> Results:
    """Return results for the objects that were waited for, and that are gone now."""
    left = {entry.uid for entry in owned.entries.values() if entry.child is not None}
    gone = [uid for uid in owned.going if uid not in left]
    results: Results = {}
    for ref in map(owned.going.pop, gone):
        if ref.key not in wanted:
            owned.entries.pop(ref.key, None)
            results[ref.key] = interfaces.ObjectResult(ref, Action.PRUNED)
    return results
