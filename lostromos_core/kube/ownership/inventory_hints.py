"""Describe in which kinds and namespaces the objects of a resource may be, and the inventory that records it."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Final, Protocol, final

import structlog

from lostromos_core import errors, interfaces

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


_log = structlog.get_logger("lostromos.inventory")
GroupKind = tuple[str, str]


MOST_HINTS: Final = 200
"""Maximum number of kinds, and of namespaces, that are searched for one resource."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Hints:
    """List the group-kinds and namespaces where a resource's objects may be; never proof of anything."""

    kinds: frozenset[GroupKind] = frozenset()
    namespaces: frozenset[str] = frozenset()

    def lead_to(self, kind: GroupKind, namespace: str) -> bool:
        """Return whether the hints name a kind in a namespace; if that is empty, in any."""
        return kind in self.kinds and (not namespace or namespace in self.namespaces)

    def bounded(self, first: Hints) -> Hints:
        """Return at most MOST_HINTS kinds and namespaces; those of ``first`` take precedence."""
        kinds = [*sorted(self.kinds & first.kinds), *sorted(self.kinds - first.kinds)]
        spaces = [*sorted(self.namespaces & first.namespaces), *sorted(self.namespaces - first.namespaces)]
        return Hints(frozenset(kinds[:MOST_HINTS]), frozenset(spaces[:MOST_HINTS]))

    @property
    def are_many(self) -> bool:
        """Return whether there are more than MOST_HINTS: anyone who may edit a resource can write thousands."""
        return len(self.kinds) > MOST_HINTS or len(self.namespaces) > MOST_HINTS


class Inventory(Protocol):
    """Record where a resource's objects are, in a place that outlives the process."""

    @property
    def of_kubernetes(self) -> bool:
        """Return whether the resources are Kubernetes objects, which owner references can name."""

    def hints(self, owner: interfaces.Resource) -> Hints:
        """Return the recorded hints."""

    async def written(self, owner: interfaces.Resource) -> Hints:
        """Return the hints that we wrote and that cannot be forged: objects may be there. Raises ApiError."""

    async def claim(
        self, owner: interfaces.Resource, kinds: Collection[GroupKind], namespaces: Collection[str], *, finalizer: bool
    ) -> None:
        """Record where objects are and will be. ``finalizer``: garbage collection alone cannot clean up after them.

        Raises ClaimedError if another controller or operator reconciles the resource.
        """

    def holds(self, owner: interfaces.Resource) -> bool:
        """Return whether a resource, however it is deleted, is kept until we have deleted its objects."""

    async def release(self, owner: interfaces.Resource) -> None:
        """Forget a resource that has no objects left, and release it."""

    async def recall(self, key: str) -> interfaces.Resource | None:
        """Return a resource that is gone, if its objects are still recorded; else None."""

    async def remembered(self) -> list[str]:
        """Return the keys of all resources whose record is stored outside of the resource."""

    async def is_gone(self, group: str, kind: str, key: str) -> bool:
        """Return whether a resource does not exist, by querying the cluster."""

    def forget(self, key: str) -> None:
        """Remove a resource that is gone from memory."""

    def ran(self, owner: interfaces.Resource) -> Collection[str]:
        """Return the names that identify the Jobs that were created once; see ``job_runs``."""

    async def remember_ran(self, owner: interfaces.Resource, names: Collection[str]) -> None:
        """Record that Jobs were created; raises ApiError."""


async def enqueue_forgotten(
    inventory: Inventory, is_known: Callable[[str], bool], enqueue: Callable[[str], None], *, after: float
) -> None:
    """Enqueue, once, recorded resources that no source has reported; ``after``: seconds before each try."""
    while True:
        await asyncio.sleep(after)
        try:
            remembered = await inventory.remembered()
        except errors.LostromosError as error:
            _log.warning("cannot search for what was applied earlier", error=str(error))
        else:
            break
    for key in remembered:
        if not is_known(key):
            enqueue(key)
