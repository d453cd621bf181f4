"""How many objects all owners of one controller have, counted as they come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from lostromos_core.kube.tracking import tracked_objects


@final
class Census:
    """Counts the objects of those owners that are the controller's: others may have owners of the same kind."""

    def __init__(self) -> None:
        self.total = 0
        self._counts: dict[str, int] = {}

    def __contains__(self, key: str) -> bool:
        """Whether an owner is counted."""
        return key in self._counts

    def add(self, key: str, there: int) -> None:
        """Count an owner from now on, which has so many objects."""
        self.total += there - self._counts.get(key, 0)
        self._counts[key] = there

    def forget(self, key: str) -> None:
        """Count an owner no longer."""
        self.total -= self._counts.pop(key, 0)

    def notice(
        self, key: str, before: tracked_objects.TrackedObject | None, now: tracked_objects.TrackedObject | None
    ) -> None:
        """Take what the watch has brought about an owner's object."""
        change = (now is not None) - (before is not None)
        if change and key in self._counts:
            self._counts[key] += change
            self.total += change
