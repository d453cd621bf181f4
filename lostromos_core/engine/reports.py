"""Decide what to report after a reconcile, and when to retry the resource.

The Report itself is in ``interfaces.reports``; ``kube.reporting.status`` makes conditions of it.
"""

from __future__ import annotations

from lostromos_core import errors, interfaces

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
    failure = errors.LostromosError(f"it took longer than {seconds:.0f} seconds and was stopped; it is retried")
    failure.retryable = True
    return failure


def unexpected(error: BaseException) -> errors.LostromosError:
    """Return the error that stands for an unexpected exception."""
    failure = errors.LostromosError(f"unexpected error, see the log: {type(error).__name__}")
    failure.retryable = True
    return failure
