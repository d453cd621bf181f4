"""Fights: somebody else changes an object again and again after it was repaired. Each repair then waits longer."""

from __future__ import annotations

import dataclasses
from typing import Final, final

FREE_REPAIRS: Final = 3
"""So often an object is repaired at once; then each repair waits twice as long as the one before."""
LONGEST_PAUSE: Final = 300.0
PEACE: Final = 60.0
"""Seconds without a repair after which a fight is over; longer after longer pauses."""


@final
@dataclasses.dataclass(slots=True)
class Contention:
    """How often an object was repaired, one time soon after the other. Times are seconds, monotonic."""

    repairs: int = 0
    last: float = float("-inf")
    opponent: str = ""

    def pause(self, now: float) -> float:
        """Seconds until the next repair."""
        return max(0.0, self.last + self._length() - now)

    def repaired(self, now: float) -> None:
        """The object was repaired once more."""
        if now - self.last > max(PEACE, 2 * self._length()):
            self.repairs = 0
        self.repairs += 1
        self.last = now

    def _length(self) -> float:
        over = self.repairs - FREE_REPAIRS
        return 0.0 if over < 0 else min(LONGEST_PAUSE, 2.0**over)
