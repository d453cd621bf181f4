"""What a watch remembers of its tries: the failures since the last progress, and how far a list has come."""

from __future__ import annotations

import dataclasses
from typing import final

from lostromos_core.kube.transport import operations


@final
@dataclasses.dataclass(slots=True)
class Tally:
    """The failures since the last progress. ``broken``: of these, how often the server had begun to answer.

    ``expired``: how often a version was too old since a watch has brought something new; ``told``: whether the sink
    has been told.
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
        """Return whether answers broke off so often that another way must be tried; then count anew."""
        worn_out = self.broken >= limit
        if worn_out:
            self.broken = 0
        return worn_out


@final
@dataclasses.dataclass(slots=True)
class Pages:
    """How far a list has come: the server's token for the next page. ``whole``: it is asked for without pages."""

    token: str = ""
    whole: bool = False

    @property
    def query(self) -> dict[str, str]:
        """What asks for the next page."""
        return {
            **({} if self.whole else {"limit": str(operations.PAGE)}),
            **({"continue": self.token} if self.token else {}),
        }
