"""Reconcile one resource: read it, render, ask the policies, apply, and report.

Create, update, drift, resync and retry take the same path; reading shows whether a resource is gone or being deleted. A
failure becomes a Report on the resource and an Outcome for the queue, never an exception: a key is either ready, or has
a condition that explains why not. Every failure is retried, soon or slowly; only a failure that is a pure function of
the resource and the templates waits until one of them changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import random
from typing import TYPE_CHECKING, Any, Protocol, final

import structlog

from lostromos_core import errors, interfaces
from lostromos_core.engine import change_log, reports
from lostromos_core.templates.data import budget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_log = structlog.get_logger("lostromos.reconcile")

TAKEN_OVER = "another operator has taken over"
"""Message of a cancellation after which nothing may be written."""
LAST_WORDS = 2.5
"""Seconds to report on a resource that its reconcile was interrupted."""
PAUSE = "lostromos.dev/pause"
"""Annotation of a resource: while it is ``true``, nothing is changed. Deletion still proceeds."""
PAUSED = f"nothing is done until the annotation {PAUSE} is removed"
DEADLINE = 600.0
"""Seconds that a reconcile may take, unless its applier needs more; one that hangs would block its worker forever."""


class Lookups(Protocol):
    """Render with access to other objects of the cluster."""

    async def render(
        self,
        resource: interfaces.Resource,
        render: Callable[[Callable[[interfaces.ObjectRef], Mapping[str, Any] | None]], Any],
    ) -> interfaces.Rendered:
        """Render until everything that is looked up is known."""

    def forget(self, key: str) -> None:
        """Forget a resource that is gone."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class ControllerContext:
    """Hold the parts of a controller that a reconcile needs.

    ``review`` returns the objections of policies to an apply. ``knows`` returns whether the source of a key has been
    read: before that, a missing key does not count as gone. ``deadline``: seconds that a reconcile may take.
    """

    name: str
    watcher: interfaces.Watcher
    renderer: interfaces.Renderer
    applier: interfaces.Applier
    context: interfaces.Context
    review: Callable[[interfaces.Resource, interfaces.Rendered], Sequence[str]]
    lookups: Lookups | None = None
    resync: float = 0.0
    change_log: change_log.ChangeLog = dataclasses.field(default_factory=change_log.ChangeLog)
    knows: Callable[[str], bool] = lambda _key: True
    deadline: float = DEADLINE


async def reconcile(controller: ControllerContext, key: str) -> reports.Result:
    """Reconcile one resource. Never raises, except when its task is cancelled."""
    log = _log.bind(controller=controller.name, resource=key)
    resource: interfaces.Resource | None = None
    try:
        async with asyncio.timeout(controller.deadline) as deadline:
            resource = await controller.watcher.get(key)
            if resource is None and not controller.knows(key):
                return reports.Result(interfaces.Outcome.again())
            result = await _step(controller, key, resource)
    except TimeoutError as error:
        if deadline.expired():
            log.exception("the reconcile timed out and was stopped", seconds=controller.deadline)
            result = _failed(resource, reports.too_long(controller.deadline))
        else:
            log.exception("a bug: the reconcile failed with an unexpected error")
            result = _failed(resource, reports.unexpected(error))
    except asyncio.CancelledError as error:
        if is_cancelled():
            if TAKEN_OVER not in error.args:  # else the status belongs to another operator
                await _report_interruption(controller, resource)
            raise
        # A plug-in awaited something that was cancelled, and let the error escape: a failure, not the end of our task.
        log.exception("unexpected error: a cancellation that did not concern the reconcile")
        result = _failed(resource, reports.unexpected(error))
    except errors.LostromosError as error:
        result = _failed(resource, error)
    except Exception as error:
        log.exception("a bug: the reconcile failed with an unexpected error")
        result = _failed(resource, reports.unexpected(error))
    return _resynced(controller, await _report(controller, key, result))


def is_cancelled() -> bool:
    """Return whether the current task itself is being cancelled; False if a plug-in let a cancellation escape."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


async def _step(controller: ControllerContext, key: str, resource: interfaces.Resource | None) -> reports.Result:
    """Delete, apply, or do nothing, depending on the state of the resource."""
    if resource is None or resource.deleting:
        return await _delete(controller, key, resource)
    if _is_paused(resource):
        report = interfaces.Report(ready=False, paused=True, reason="Paused", message=PAUSED)
        return reports.Result(interfaces.Outcome.done(), report, resource)
    if resource.unreadable:
        report = interfaces.Report(ready=False, reason="Unreadable", message=resource.unreadable)
        return reports.Result(interfaces.Outcome.done(), report, resource)
    return await _apply(controller, resource)


def _resynced(controller: ControllerContext, result: reports.Result) -> reports.Result:
    """Schedule the next reconcile within the resync period of the controller, plus or minus 20 percent."""
    if result.resource is None or result.report is None or not controller.resync:
        return result
    period = controller.resync * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, not used for security
    if result.outcome.retry:
        return dataclasses.replace(result, outcome=dataclasses.replace(result.outcome, at_most=period))
    return dataclasses.replace(result, outcome=interfaces.Outcome.again(period))


async def _apply(controller: ControllerContext, resource: interfaces.Resource) -> reports.Result:
    rendered = await _render(controller, resource)
    objections = controller.review(resource, rendered)
    if objections:
        report = interfaces.Report(ready=False, reason="Refused", message="; ".join(objections))
        return _finished(resource, report)
    applied = await controller.applier.apply(resource, rendered)
    report = dataclasses.replace(reports.report_of(applied, rendered), status=_status(rendered, applied))
    return _finished(resource, report, applied.after)


def _status(rendered: interfaces.Rendered, applied: interfaces.Applied) -> Mapping[str, Any] | None:
    """Return the status fields from the template and from the applier; None while either is unknown."""
    if rendered.status is None or applied.status is None:
        return None
    return {**rendered.status, **applied.status}


def _is_paused(resource: interfaces.Resource) -> bool:
    return (resource.metadata.get("annotations") or {}).get(PAUSE) == "true"


async def _render(controller: ControllerContext, resource: interfaces.Resource) -> interfaces.Rendered:
    def render(find: Callable[[interfaces.ObjectRef], Mapping[str, Any] | None]) -> interfaces.Anything:
        return interfaces.render(controller.renderer, resource, dataclasses.replace(controller.context, lookup=find))

    if controller.lookups is not None:
        with budget.rendering():  # one budget for all rounds
            return await controller.lookups.render(resource, render)
    rendered: Any = interfaces.render(controller.renderer, resource, controller.context)
    found: interfaces.Rendered = await rendered if inspect.isawaitable(rendered) else rendered
    return found


async def _delete(controller: ControllerContext, key: str, resource: interfaces.Resource | None) -> reports.Result:
    if controller.lookups is not None:
        controller.lookups.forget(key)
    applied = await controller.applier.delete(key, resource)
    if applied.failed:
        report = reports.report_of(applied, None)
        # The cause, such as a policy or a webhook, may change without an event.
        return reports.Result(interfaces.Outcome.again(), dataclasses.replace(report, retrying=True), resource)
    if applied.remaining:
        message = f"{reports.objects(applied.remaining)} still being deleted"
        report = interfaces.Report(
            ready=False, reason="Deleting", message=message, retrying=True, objects=applied.objects
        )
        # Some appliers enqueue the key when an object is gone; this is for the others, and for failures.
        return reports.Result(interfaces.Outcome.again(applied.after), report, resource)
    if resource is None:
        return reports.Result(interfaces.Outcome.done())
    if "deletionTimestamp" not in resource.metadata:
        message = "no controller reconciles it"
        await controller.watcher.report(
            resource, interfaces.Report(ready=False, reason=interfaces.RELEASED, message=message)
        )
        return reports.Result(interfaces.Outcome.done(), resource=resource)
    # It is released, and the source will report that it is gone. In case the answers were wrong, retry.
    return reports.Result(interfaces.Outcome.again(slow=True), resource=resource)


_ON_CHANGE = frozenset({"Waiting", "Cycle"})
"""Reasons that end with a change that starts a reconcile by itself."""


def _finished(resource: interfaces.Resource, report: interfaces.Report, after: float | None = None) -> reports.Result:
    """Retry a resource that is not ready, unless it waits for a change that starts a reconcile."""
    if after is not None:
        outcome = interfaces.Outcome.again(after)
    elif report.ready or report.reason in _ON_CHANGE:
        outcome = interfaces.Outcome.done()
    else:
        outcome = interfaces.Outcome.again(slow=not report.retrying)
    return reports.Result(outcome, report, resource)


def _failed(resource: interfaces.Resource | None, error: errors.LostromosError) -> reports.Result:
    report = interfaces.Report(
        ready=False, reason=reports.reason_of(error), message=str(error), retrying=error.retryable
    )
    return reports.Result(reports.outcome_of(error), report, resource)


async def _report_interruption(controller: ControllerContext, resource: interfaces.Resource | None) -> None:
    """Report that the process ends before the work is done, if that is quick; the next start continues."""
    if resource is None:
        return
    message = "the operator stopped before everything was applied; it continues when it is restarted"
    report = interfaces.Report(ready=False, reason="Interrupted", message=message, retrying=True)
    with contextlib.suppress(Exception):
        async with asyncio.timeout(LAST_WORDS):
            await controller.watcher.report(resource, report)


async def _report(controller: ControllerContext, key: str, result: reports.Result) -> reports.Result:
    """Write the report; if that fails, retry, since otherwise the resource would not show the result."""
    controller.change_log.record(controller.name, key, result.report)
    if result.report is None or result.resource is None:
        return result
    log = _log.bind(controller=controller.name, resource=key)
    try:
        async with asyncio.timeout(controller.deadline):
            await controller.watcher.report(result.resource, result.report)
    except errors.LostromosError as error:
        log.warning("the status could not be written", error=str(error))
        return _unsaid(result, error)
    except asyncio.CancelledError as error:
        if is_cancelled():
            raise
        log.exception("a bug: the status could not be written")
        return _unsaid(result, reports.unexpected(error))
    except Exception as error:
        log.exception("a bug: the status could not be written")
        return _unsaid(result, reports.unexpected(error))
    return result


def _unsaid(result: reports.Result, error: errors.LostromosError) -> reports.Result:
    """Return the result for a report that could not be written: a retry, whatever the error."""
    assert result.report is not None  # noqa: S101 - there was a report to write
    report = interfaces.Report(ready=False, reason="StatusNotWritten", message=str(error), retrying=error.retryable)
    outcome = result.outcome
    if not outcome.retry or (outcome.slow and error.retryable):
        outcome = interfaces.Outcome.again(slow=not error.retryable)
    return dataclasses.replace(result, outcome=outcome, report=report if result.report.ready else result.report)
