"""Report releases that could not be made or removed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, final

import structlog

from lostromos_core import interfaces
from lostromos_helm import attempts, making
from lostromos_helm.objects import contents
from lostromos_helm.release import storage

if TYPE_CHECKING:
    from lostromos_core import errors
    from lostromos_helm.objects import repair
    from lostromos_helm.release import commands, releases

Action = interfaces.Action
_log = structlog.get_logger("lostromos.helm")


@final
class Outcomes:
    """Turn failures of one controller's releases into results."""

    def __init__(self, known: releases.Releases, care: repair.Repairer) -> None:
        self._releases = known
        self._care = care

    def _as_a_whole(
        self, plan: commands.ReleasePlan, objects: tuple[interfaces.ObjectResult, ...]
    ) -> interfaces.Applied:
        """Return results for the release as a whole, not for its desired objects."""
        history = self._releases.of(plan.place)
        return interfaces.Applied(objects, status={"release": contents.failed_status(plan, history)})

    async def failure(
        self, plan: commands.ReleasePlan, known: making.Known, error: errors.LostromosError
    ) -> interfaces.Applied:
        """Report a release that could not be made: the failing objects, the next retry and the deployed revision."""
        objects = await self._care.blame(self._releases.of(plan.place)[-1:], plan)
        known.contents = None
        said = plan.secrets.hide(str(error))
        known.failed = attempts.failed(
            known.failed, plan.digest, error, said=said, objects=objects,
            looked_at=isinstance(error, making.NotOursError), now=time.monotonic(),
        )  # fmt: skip
        _log.warning("the release failed", release=plan.name, error=said, times=known.failed.times)
        return self.failed(plan, known.failed)

    def failed(self, plan: commands.ReleasePlan, failed: attempts.Failed) -> interfaces.Applied:
        """Return the report of a failure."""
        history = self._releases.of(plan.place)
        serving = next((one.number for one in reversed(history) if one.status == storage.DEPLOYED), 0)
        ref = interfaces.ObjectRef(*contents.RELEASE, *plan.place)
        return self._as_a_whole(plan, failed.results(ref, serving, time.monotonic()))

    def waiting(self, plan: commands.ReleasePlan, later: making.LaterError) -> interfaces.Applied:
        """Report that another operation on the release is in progress."""
        ref = interfaces.ObjectRef(*contents.RELEASE, *plan.place)
        return self._as_a_whole(plan, (interfaces.ObjectResult(ref, Action.WAITING, str(later), after=later.after),))


def stays(place: releases.Place, error: errors.LostromosError) -> interfaces.ObjectResult:
    """Return a result that states why a release cannot be removed."""
    ref = interfaces.ObjectRef(*contents.RELEASE, *place)
    return interfaces.ObjectResult(ref, Action.FAILED, str(error), retryable=error.retryable)
