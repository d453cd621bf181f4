"""Count the objects of all owners of one controller, as they come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from lostromos_core.kube.tracking import tracked_objects


@final
class Census:
    """Count the objects of the controller's own owners: other controllers may have owners of the same kind."""

    def __init__(self) -> None:
        self.total = 0
        self._counts: dict[str, int] = {}

    def __contains__(self, key: str) -> bool:
        """Return whether an owner is counted."""
        return key in self._counts

    def add(self, key: str, there: int) -> None:
        """Count an owner from now on, starting with ``there`` objects."""
        self.total += there - self._counts.get(key, 0)
        self._counts[key] = there

    def forget(self, key: str) -> None:
        """Stop counting an owner."""
        self.total -= self._counts.pop(key, 0)

    def notice(
        self, key: str, before: tracked_objects.TrackedObject | None, now: tracked_objects.TrackedObject | None
    ) -> None:
        """Handle a watch event for an owner's object."""
        change = (now is not None) - (before is not None)
        if change and key in self._counts:
            self._counts[key] += change
            self.total += change
