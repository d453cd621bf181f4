"""Decide what to do with a release from what is known of it: pure, so that tests can cover every case."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING, Final, final

from lostromos_helm.release import storage

if TYPE_CHECKING:
    from collections.abc import Sequence


class Step(enum.Enum):
    """Name the next step."""

    NOTHING = "it is up to date"
    INSTALL = "install"
    INSTALL_AGAIN = "install again: no revision ever served, so install hooks have to run"
    UPGRADE = "upgrade"
    RECOVER = "end what was interrupted, and continue"
    REPLACE = "finish the interrupted uninstall, and install"
    WAIT = "another operation is in progress"
    REFUSE = "it belongs to another owner"


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """Hold the next step, and a readable reason."""

    step: Step
    why: str = ""
    after: float | None = None


_SERVED: Final = frozenset({storage.DEPLOYED, storage.SUPERSEDED})
_ENDED: Final = frozenset({storage.UNINSTALLING, storage.UNINSTALLED})


def goes_on(history: Sequence[storage.Revision]) -> Step:
    """Return the step after a failed revision; ``helm upgrade`` would skip what only an install does."""
    return Step.UPGRADE if any(one.status in _SERVED for one in history) else Step.INSTALL_AGAIN


def decide(  # noqa: PLR0911 - many inputs and outcomes
    history: Sequence[storage.Revision],
    *,
    owner: str,
    digest: str,
    adopt: bool,
    again: bool,
    abandoned: bool,
    now: float,
    waited: float,
    patience: float,
) -> Decision:
    """Decide what to do with a release of this history, oldest first.

    ``adopt``: take it over if it is not the owner's. ``again``: upgrade even if it is up to date. ``abandoned``: the
    process that began the newest operation is gone. ``patience``: seconds that another process's operation may take;
    ``waited``: how many of them have passed by our own clock, since other clocks may be wrong. ``now``: seconds since
    1970.
    """
    if not history:
        return Decision(Step.INSTALL)
    newest = history[-1]
    name = f"the release {newest.namespace}/{newest.name}"
    if newest.owner != owner and not adopt:
        whose = "belongs to another resource" if newest.owner else "was not made by Lostrómos"
        way_out = f"take it over with `adopt: true`{' when that is gone' if newest.owner else ''}"
        return Decision(Step.REFUSE, f"{name} exists and {whose}; choose another `prefix`, or {way_out}")
    if newest.pending and not (abandoned and newest.ours and newest.owner == owner):
        left = min(newest.modified + patience - now, patience - waited)
        if left > 0:
            why = f"another operation is in progress on {name} ({newest.status}); it is taken over in {left:.0f} s"
            return Decision(Step.WAIT, why, left)
    if newest.pending:
        return Decision(Step.RECOVER)
    if newest.status in _ENDED:
        return Decision(Step.REPLACE)
    same = newest.ours and newest.owner == owner and newest.digest == digest
    if newest.status == storage.DEPLOYED and same and not again:
        return Decision(Step.NOTHING)
    return Decision(goes_on(history) if newest.status == storage.FAILED else Step.UPGRADE)
