"""Know in which kinds and namespaces the objects of a resource may be, and who writes that down."""

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
"""How many kinds, and namespaces, are looked at for one resource."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Hints:
    """Where a resource's objects may be: groups and kinds, and namespaces. Never proof of anything."""

    kinds: frozenset[GroupKind] = frozenset()
    namespaces: frozenset[str] = frozenset()

    def lead_to(self, kind: GroupKind, namespace: str) -> bool:
        """Return whether they name a kind in a namespace; without one, in any."""
        return kind in self.kinds and (not namespace or namespace in self.namespaces)

    def bounded(self, first: Hints) -> Hints:
        """Return no more of them than anybody needs: those of ``first`` before all others."""
        kinds = [*sorted(self.kinds & first.kinds), *sorted(self.kinds - first.kinds)]
        spaces = [*sorted(self.namespaces & first.namespaces), *sorted(self.namespaces - first.namespaces)]
        return Hints(frozenset(kinds[:MOST_HINTS]), frozenset(spaces[:MOST_HINTS]))

    @property
    def are_many(self) -> bool:
        """Whether there are more than anybody needs: whoever may edit a resource can write thousands."""
        return len(self.kinds) > MOST_HINTS or len(self.namespaces) > MOST_HINTS


class Inventory(Protocol):
    """Remembers where a resource's objects are, in a place that outlives the process."""

    @property
    def of_kubernetes(self) -> bool:
        """Whether the resources are Kubernetes objects, that owner references can name."""

    def hints(self, owner: interfaces.Resource) -> Hints:
        """What is remembered."""

    async def written(self, owner: interfaces.Resource) -> Hints:
        """Return the hints that are our own, and not forged: there, objects may be. Raises ApiError."""

    async def claim(
        self, owner: interfaces.Resource, kinds: Collection[GroupKind], namespaces: Collection[str], *, finalizer: bool
    ) -> None:
        """Remember where objects are and will be. ``finalizer``: garbage collection alone cannot clean up after them.

        Raises ClaimedError if another controller or operator looks after the resource.
        """

    def holds(self, owner: interfaces.Resource) -> bool:
        """Return whether a resource stays until we have deleted its objects, whoever deletes it, and however."""

    async def release(self, owner: interfaces.Resource) -> None:
        """Nothing belongs to the resource any more: forget it, and let it go."""

    async def recall(self, key: str) -> interfaces.Resource | None:
        """A resource that is gone, if its objects are still remembered."""

    async def remembered(self) -> list[str]:
        """The keys of all resources that are remembered apart from themselves."""

    async def is_gone(self, group: str, kind: str, key: str) -> bool:
        """Whether a resource does not exist; asks the cluster."""

    def forget(self, key: str) -> None:
        """The resource is gone: keep nothing in memory."""

    def ran(self, owner: interfaces.Resource) -> Collection[str]:
        """Return what stands for the Jobs that were made once, see ``runs``."""

    async def remember_ran(self, owner: interfaces.Resource, names: Collection[str]) -> None:
        """Remember that Jobs were made; raises ApiError."""


async def ring_for_forgotten(
    inventory: Inventory, is_known: Callable[[str], bool], enqueue: Callable[[str], None], *, after: float
) -> None:
    """Ring for resources that are remembered and that no source has told us of, once; ``after`` in seconds."""
    while True:
        await asyncio.sleep(after)
        try:
            remembered = await inventory.remembered()
        except errors.LostromosError as error:
            _log.warning("what was applied earlier cannot be looked for", error=str(error))
        else:
            break
    for key in remembered:
        if not is_known(key):
            enqueue(key)
