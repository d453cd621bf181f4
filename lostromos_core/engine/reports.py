"""Decide what to report after a reconcile, and when to retry; collect the results of one pass over all resources.

The Report itself is in ``interfaces.reports``; ``kube.reporting.status`` makes conditions of it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, TypeAlias, final

from lostromos_core import errors, interfaces

if TYPE_CHECKING:
    from collections.abc import Mapping

SAID = 3
"""Maximum number of items that are listed in one message."""


def report_of(applied: interfaces.Applied, rendered: interfaces.Rendered | None) -> interfaces.Report:
    """Return the report on an apply: ready, waiting, failed or drifted."""
    failed = applied.failed
    if failed:
        first = failed[0]
        where = f"{first.place}: " if first.place else ""
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        message = f"{where}{first.message}{more}"
        retrying = any(result.retryable for result in failed)
        return interfaces.Report(
            ready=False, reason="ApplyFailed", message=message, retrying=retrying, objects=applied.objects
        )
    stuck = _stuck(rendered)
    if stuck:
        return interfaces.Report(ready=False, reason="Cycle", message=stuck, objects=applied.objects)
    waiting = _waiting(applied, rendered)
    if waiting:
        return interfaces.Report(ready=False, reason="Waiting", message=waiting, retrying=True, objects=applied.objects)
    there = sum(result.action is not interfaces.Action.PRUNED for result in applied.objects)
    drifted = [result.ref for result in applied.objects if result.action is interfaces.Action.DRIFTED]
    message = f"{objects(there - len(drifted))} up to date"
    if drifted:
        message += f"; {objects(len(drifted))} drifted and left alone: {', '.join(map(str, drifted[:SAID]))}"
    return interfaces.Report(ready=True, reason="Applied", message=message, objects=applied.objects)


def _stuck(rendered: interfaces.Rendered | None) -> str:
    units = rendered.units if isinstance(rendered, interfaces.Manifests) else ()
    return "; ".join(f"{unit.name}: {unit.waiting}" for unit in units if unit.stuck)


def _waiting(applied: interfaces.Applied, rendered: interfaces.Rendered | None) -> str:
    said = [f"{result.ref}: {result.message}" for result in applied.waiting]
    if isinstance(rendered, interfaces.Manifests):
        said += [f"{unit.name}: {unit.waiting}" for unit in rendered.units if unit.waiting]
    elif rendered is not None and rendered.waiting:
        said.append(rendered.waiting)
    more = f" (and {len(said) - SAID} more)" if len(said) > SAID else ""
    return "; ".join(said[:SAID]) + more


def objects(number: int) -> str:
    """Return a number of objects in words."""
    return "1 object" if number == 1 else f"{number} objects"


def outcome_of(error: errors.LostromosError) -> interfaces.Outcome:
    """Return when to retry after an error: when the server asks for it, otherwise after the back-off of its kind."""
    if error.retry is errors.Retry.ON_CHANGE:
        return interfaces.Outcome.done()
    after = error.retry_after if isinstance(error, errors.ApiError | errors.ClaimedError) else None
    return interfaces.Outcome.again(after, slow=error.retry is errors.Retry.SLOWLY)


def reason_of(error: errors.LostromosError) -> str:
    """Return the condition reason for an error."""
    names = {
        errors.RenderError: "RenderFailed",
        errors.RefusedError: "Refused",
        errors.ConnectionFailed: "ConnectionFailed",
        errors.CredentialsError: "CredentialsFailed",
        errors.ApiError: "ApiError",
        errors.ProcessError: "ProcessFailed",
    }
    return next((name for kind, name in names.items() if isinstance(error, kind)), "Failed")


def too_long(seconds: float) -> errors.LostromosError:
    """Return the error for a reconcile that did not end within its deadline."""
    failure = errors.LostromosError(f"it took longer than {seconds:g} seconds and was stopped; it is retried")
    failure.retryable = True
    return failure


def unexpected(error: BaseException) -> errors.LostromosError:
    """Return the error that stands for an unexpected exception."""
    failure = errors.LostromosError(f"unexpected error, see the log: {type(error).__name__}")
    failure.retryable = True
    return failure


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """Hold the result of a reconcile; ``report`` is None if the resource is gone or has been released."""

    outcome: interfaces.Outcome
    report: interfaces.Report | None = None
    resource: interfaces.Resource | None = None


Key: TypeAlias = tuple[str, str]
"""Controller name and resource key."""
_DONE = frozenset(
    {interfaces.Action.CREATED, interfaces.Action.UPDATED, interfaces.Action.PRUNED, interfaces.Action.DELETED}
)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """Hold the results of ``once``: one for every resource, and why controllers could not be watched."""

    results: Mapping[Key, Result]
    troubles: Mapping[str, str]

    @property
    def ready(self) -> bool:
        """Return whether every controller was watched, and every resource is ready or gone."""
        return not self.troubles and all(not result.report or result.report.ready for result in self.results.values())


def merge(before: Result | None, now: Result) -> Result:
    """Return the result of a resource that was reconciled more than once, including its earlier changes."""
    if before is None or before.report is None or now.report is None:
        return now
    done = {one.ref: one for one in before.report.objects if one.action in _DONE}
    objects = [
        done.get(one.ref, one) if one.action is interfaces.Action.UNCHANGED else one for one in now.report.objects
    ]
    there = {one.ref for one in objects}
    pruned = [one for one in done.values() if one.action is interfaces.Action.PRUNED and one.ref not in there]
    report = dataclasses.replace(now.report, objects=(*objects, *pruned))
    return dataclasses.replace(now, report=report)
