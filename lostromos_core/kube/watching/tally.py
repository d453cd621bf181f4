"""Count the failures of a watch since its last progress, and track the progress of a list."""

from __future__ import annotations

import dataclasses
from typing import final

from lostromos_core.kube.transport import operations


@final
@dataclasses.dataclass(slots=True)
class Tally:
    """Count the failures since the last progress. ``broken``: those after the server had begun to respond.

    ``expired``: how often a version was too old since a watch found something new; ``told``: whether the event
    handler has been notified.
    """

    failures: int = 0
    broken: int = 0
    expired: int = 0
    told: bool = False

    def failed(self, *, answered: bool) -> None:
        """Count a failure."""
        self.failures += 1
        self.broken += answered

    def is_worn_out(self, limit: int) -> bool:
        """Return whether responses broke off so often that another method must be tried; if so, reset that count."""
        worn_out = self.broken >= limit
        if worn_out:
            self.broken = 0
        return worn_out


@final
@dataclasses.dataclass(slots=True)
class Pages:
    """Hold the server's token for the next page of a list. ``whole``: the list is requested without pages."""

    token: str = ""
    whole: bool = False

    @property
    def query(self) -> dict[str, str]:
        """Return the query parameters for the next page."""
        return {
            **({} if self.whole else {"limit": str(operations.PAGE)}),
            **({"continue": self.token} if self.token else {}),
        }
