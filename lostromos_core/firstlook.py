"""Track which of the resources that existed at the start of a controller are not reconciled yet.

Some decisions need the complete picture, such as how many objects a changed template makes unwanted. How long the first
look takes depends on the cluster, so it is limited by progress, not by a clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Callable


@final
class FirstLook:
    """Track which resources have not been reconciled yet, and which have been but are not ready.

    Guarantees: ``over`` becomes true when all resources that the watcher had found before it was in sync have been
    reconciled once, with any result, and stays true. Functions passed to ``when_over`` are called then, once.
    Assumptions: every resource that is found is queued, and every queued resource is reconciled eventually.
    """

    def __init__(self) -> None:
        self.over = False
        self._synced = False
        self._ahead: set[str] = set()
        self._open: set[str] = set()
        self._tell: list[Callable[[], None]] = []

    @classmethod
    def ended(cls) -> FirstLook:
        """Return a FirstLook that is over: there were no resources."""
        made = cls()
        made.synced()
        return made

    @property
    def complete(self) -> bool:
        """Return whether each resource has been ready once, or is gone; failed or paused ones may need any object."""
        return self.over and not self._open

    def waits_for_others(self, key: str) -> bool:
        """Return whether a resource other than this one is still to be reconciled."""
        return not self.over and (not self._synced or len(self._ahead) > (key in self._ahead))

    def found(self, key: str) -> None:
        """Record that the watcher has found a resource."""
        if not self._synced:
            self._ahead.add(key)

    def synced(self) -> None:
        """Record that the watcher has found all resources that exist."""
        self._synced = True
        self._look()

    def reconciled(self, key: str, *, settled: bool) -> None:
        """Record that a reconcile has ended. ``settled``: the resource is ready, or gone."""
        if settled:
            self._open.discard(key)
        elif key in self._ahead:
            self._open.add(key)
        self._ahead.discard(key)
        self._look()

    def when_over(self, tell: Callable[[], None]) -> None:
        """Call a function when all resources have been reconciled once."""
        self._tell.append(tell)

    def _look(self) -> None:
        if self.over or not self._synced or self._ahead:
            return
        self.over = True
        for tell in self._tell:
            tell()
        self._tell.clear()
