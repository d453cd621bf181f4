"""Slow repairs down while another field manager keeps changing an object: each repair then waits longer."""

from __future__ import annotations

import dataclasses
from typing import Final, final

FREE_REPAIRS: Final = 3
"""Repairs of an object without delay; then each repair waits twice as long as the one before."""
LONGEST_PAUSE: Final = 300.0
PEACE: Final = 60.0
"""Seconds without a repair after which the contention is over; longer after longer pauses."""


@final
@dataclasses.dataclass(slots=True)
class Contention:
    """Count the repairs of an object in quick succession. Times are monotonic seconds."""

    repairs: int = 0
    last: float = float("-inf")
    opponent: str = ""

    def pause(self, now: float) -> float:
        """Return the seconds until the next repair."""
        return max(0.0, self.last + self._length() - now)

    def explain(self, pause: float, what: str = "") -> str:
        """Return who changes the object, and when it is repaired next: in ``pause`` seconds."""
        more = f"; {what}" if what else ""
        who = self.opponent or "another field manager"
        return f"{who} keeps changing it ({self.repairs} repairs{more}); next repair in {pause:.0f} s"

    def repaired(self, now: float) -> None:
        """Record one more repair of the object."""
        if now - self.last > max(PEACE, 2 * self._length()):
            self.repairs = 0
        self.repairs += 1
        self.last = now

    def _length(self) -> float:
        over = self.repairs - FREE_REPAIRS
        return 0.0 if over < 0 else min(LONGEST_PAUSE, 2.0**over)
