"""Decide which objects are no longer wanted, and whether they may be pruned at once.

A template that loses a line can make thousands of objects unwanted. So pruning has a budget per resource, and one per
controller; beyond them it waits for consent, which is an annotation on the resource.
"""

from __future__ import annotations

import collections
import dataclasses
import time
from typing import TYPE_CHECKING, Final, final

from lostromos_core.kube import labels
from lostromos_core.kube.tracking import tracked_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from lostromos_core import firstlook, interfaces

OBJECTS: Final = 10
"""Default number of objects of one resource that are pruned without consent."""
SHARE: Final = 0.5
"""Default share of one resource's objects that is pruned without consent."""
CONTROLLER_SHARE: Final = 0.1
"""Default share of a controller's objects that is pruned without consent."""
SMALL: Final = 4
"""Number of objects of a resource up to which all may be pruned."""
ADDED_UP: Final = 3600.0
"""Seconds for which a prune counts, as long as not all resources have been ready once since the start."""
STAY: Final = "objects that are no longer wanted stay until all resources have been looked at"


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """Limit pruning without consent: objects of one resource, its share, and the share of a controller's objects."""

    objects: int = OBJECTS
    share: float = SHARE
    controller: float = CONTROLLER_SHARE


def unwanted(
    known: Iterable[tracked_objects.TrackedObject], wanted: Collection[tracked_objects.Key], units: Mapping[str, bool]
) -> list[tracked_objects.TrackedObject]:
    """Return the objects that no template makes any more. ``units`` are all template files, and whether they wait.

    Objects that a waiting file applied earlier are kept. So are those of a vanished file while any file waits, since
    they may have moved to it, and copies of objects.
    """
    return [child for child in _unwanted(known, wanted, units) if not child.deleting]


def leaving(
    known: Iterable[tracked_objects.TrackedObject], wanted: Collection[tracked_objects.Key], units: Mapping[str, bool]
) -> list[tracked_objects.TrackedObject]:
    """Return the objects that no template makes any more, and that are being deleted; see ``unwanted``."""
    return [child for child in _unwanted(known, wanted, units) if child.deleting]


def _unwanted(
    known: Iterable[tracked_objects.TrackedObject], wanted: Collection[tracked_objects.Key], units: Mapping[str, bool]
) -> Iterator[tracked_objects.TrackedObject]:
    some_wait = any(units.values())
    for child in known:
        if child.key not in wanted and not units.get(child.unit, some_wait) and child.ours:
            yield child


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Denial:
    """Explain why objects are not pruned now. ``after``: seconds until asking again helps (None: after a change)."""

    why: str
    after: float | None = None


@final
class Budget:
    """Decide for one controller; prunes that the author of a resource caused count for that resource only.

    Guarantees: until all resources that existed at the start have been reconciled, nothing is pruned that no author
    asked for, however long that takes; and while some of them have not been ready yet, prunes add up. A decision costs
    the same for any number of resources.
    """

    def __init__(
        self, limits: Limits, enqueue: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits = limits
        self._enqueue = enqueue
        self._clock = clock
        self._to_prune: dict[str, int] = {}
        self._total = 0
        self._stay: set[str] = set()
        self._spent: collections.deque[tuple[float, int]] = collections.deque()
        self._spent_total = 0

    def settled(self, key: str, pruned: int = 0) -> None:
        """Record that a resource has nothing (more) to prune, after ``pruned`` of its objects were pruned."""
        self._stay.discard(key)
        counted = self._to_prune.pop(key, 0)
        self._total -= counted
        if counted and pruned:
            self._spent.append((self._clock(), pruned))
            self._spent_total += pruned

    def denial(
        self, owner: interfaces.Resource, to_prune: int, there: int, *, everything: int, look: firstlook.FirstLook
    ) -> Denial | None:
        """Return why ``to_prune`` objects of an owner may not be pruned now; None if they may.

        ``there``: objects that the owner has; ``everything``: objects that the controller has; ``look``: progress of
        the first look at all resources.
        """
        if to_prune <= _consent(owner):
            self.settled(owner.key)
            return None
        if to_prune > self._limits.objects or (there > SMALL and to_prune > there * self._limits.share):
            return Denial(_ask(f"{to_prune} of {there} objects are no longer wanted", to_prune))
        if _is_news(owner):
            self.settled(owner.key)
            return None
        return self._denial_of_controller(owner, to_prune, everything, look)

    def _denial_of_controller(
        self, owner: interfaces.Resource, to_prune: int, everything: int, look: firstlook.FirstLook
    ) -> Denial | None:
        """Check the controller's budget: a template or variable changed, not the resource; others may be affected."""
        self._total += to_prune - self._to_prune.get(owner.key, 0)
        self._to_prune[owner.key] = to_prune
        spent, forgotten = self._added_up(look)
        total, everything = self._total + spent, everything + spent
        allowed = max(self._limits.objects, everything * self._limits.controller)
        if total > allowed:
            what = f"a template or a variable makes {total} of {everything} objects of this controller unwanted"
            return Denial(_ask(what, to_prune), forgotten if self._total <= allowed else None)
        if look.waits_for_others(owner.key):
            if not self._stay:
                look.when_over(self._look_again)
            self._stay.add(owner.key)
            return Denial(STAY)
        return None

    def _added_up(self, look: firstlook.FirstLook) -> tuple[int, float | None]:
        """Return how many pruned objects still count, and the seconds until the oldest no longer does."""
        now = self._clock()
        while self._spent and (look.complete or now - self._spent[0][0] >= ADDED_UP):
            self._spent_total -= self._spent.popleft()[1]
        return self._spent_total, self._spent[0][0] + ADDED_UP - now if self._spent else None

    def _look_again(self) -> None:
        """Enqueue the resources that waited until all resources had been reconciled."""
        waiting, self._stay = self._stay, set()
        for key in waiting:
            self._enqueue(key)


def _ask(what: str, to_prune: int) -> str:
    return f'{what}; to let them be deleted, annotate the resource with {labels.ALLOW_PRUNE}: "{to_prune}"'


def _consent(owner: interfaces.Resource) -> int:
    return tracked_objects.number((owner.metadata.get("annotations") or {}).get(labels.ALLOW_PRUNE, ""))


def _is_news(owner: interfaces.Resource) -> bool:
    """Return whether the author changed the resource since it was last reconciled."""
    seen = owner.status.get("observedGeneration")
    return bool(owner.generation) and seen != owner.generation
