"""Which objects are no longer wanted, and whether they may go at once.

A template that loses a line can make thousands of objects vanish. So pruning has a budget for each resource, and one
for each controller; beyond them it waits for consent, which is an annotation on the resource.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Final, final

from lostromos_core.kube import marks, members

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from lostromos_core import interfaces

OBJECTS: Final = 10
SHARE: Final = 0.5
CONTROLLER_SHARE: Final = 0.1
SMALL: Final = 4
"""Of so few objects, all may go."""
LOOK_AROUND: Final = 30.0
"""Seconds after the first prune that no author asked for, in which others like it are collected."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """How much is pruned without consent: objects of one resource, its share, the share of a controller's objects."""

    objects: int = OBJECTS
    share: float = SHARE
    controller: float = CONTROLLER_SHARE


def unwanted(
    known: Iterable[members.Child], wanted: Collection[members.Key], units: Mapping[str, bool]
) -> list[members.Child]:
    """The objects that no template makes any more. ``units`` are all template files, and whether they wait.

    What a waiting one applied earlier stays, and what a vanished one did, since it may have moved to one that waits;
    so do copies.
    """
    some_wait = any(units.values())
    return [
        child
        for child in known
        if child.key not in wanted and not units.get(child.unit, some_wait) and not child.deleting and child.ours
    ]


@final
class Budget:
    """Decides for one controller; prunes that the author of a resource caused count for that resource only."""

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._doomed: dict[str, int] = {}
        self._began: float | None = None

    def settled(self, key: str) -> None:
        """Nothing of this resource is to be pruned (any more)."""
        self._doomed.pop(key, None)

    def objection(
        self, owner: interfaces.Resource, doomed: int, there: int, *, everything: int, looked_at_all: bool
    ) -> tuple[str, float | None]:
        """Why so many of an owner's objects may not be pruned now, and after how many seconds to ask again.

        ``there``: objects that the owner has; ``everything``: objects that the controller has; ``looked_at_all``:
        whether all resources have been reconciled once.
        """
        if doomed <= _consent(owner):
            return "", None
        if doomed > self._limits.objects or (there > SMALL and doomed > there * self._limits.share):
            return _ask(f"{doomed} of {there} objects are no longer wanted", doomed), None
        if _is_news(owner):
            return "", None
        return self._objection_of_controller(owner, doomed, everything, looked_at_all=looked_at_all)

    def _objection_of_controller(
        self, owner: interfaces.Resource, doomed: int, everything: int, *, looked_at_all: bool
    ) -> tuple[str, float | None]:
        """The author changed nothing, so a template or a variable did, and others may be concerned as well."""
        now = self._clock()
        self._began = now if self._began is None or not self._doomed else self._began
        self._doomed[owner.key] = doomed
        total = sum(self._doomed.values())
        if total > max(self._limits.objects, everything * self._limits.controller):
            what = f"a template or a variable makes {total} of {everything} objects of this controller unwanted"
            return _ask(what, doomed), None
        if looked_at_all or now - self._began >= LOOK_AROUND:
            return "", None
        return "objects that are no longer wanted stay until all resources have been looked at", 1.0


def _ask(what: str, doomed: int) -> str:
    return f'{what}; to let them be deleted, annotate the resource with {marks.ALLOW_PRUNE}: "{doomed}"'


def _consent(owner: interfaces.Resource) -> int:
    return members.number((owner.metadata.get("annotations") or {}).get(marks.ALLOW_PRUNE, ""))


def _is_news(owner: interfaces.Resource) -> bool:
    """Whether the author changed the resource since it was reconciled last."""
    seen = (owner.data.get("status") or {}).get("observedGeneration")
    return bool(owner.generation) and seen != owner.generation
