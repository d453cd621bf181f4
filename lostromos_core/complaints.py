"""Decide when to log trouble that persists: when it begins, and again at long intervals."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable

AGAIN: Final = 600.0
"""Seconds until trouble that persists is logged again."""
FLAPPING: Final = 60.0
"""Seconds until trouble that was over, and is back, is logged again."""
_KEPT: Final = 100


@final
class Complaints:
    """Record what was logged about one thing that can be in trouble, and when."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[str, float] = {}
        self._over = False
        self._silent = True

    def is_news(self, message: str) -> bool:
        """Return whether to log this trouble now; call this whenever the trouble occurs."""
        now = self._clock()
        last = self._told.get(message)
        if last is not None and now - last < (FLAPPING if self._over else AGAIN):
            return False
        if len(self._told) >= _KEPT:
            self._told.clear()
        self._told[message] = now
        self._over = self._silent = False
        return True

    def is_over(self) -> bool:
        """Return whether to log that the trouble is over: only if the trouble was logged."""
        told = not self._silent
        self._over = self._silent = True
        return told
