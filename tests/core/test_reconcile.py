"""One reconcile, as a table: what goes wrong becomes a report and an outcome, never an exception."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import errors, interfaces
from lostromos_core.engine import reconcile, reports
from tests import fakes

if TYPE_CHECKING:
    from collections.abc import Sequence

Action = interfaces.Action
DONE, SOON = interfaces.Outcome.done(), interfaces.Outcome.again()
SLOWLY = interfaces.Outcome.again(slow=True)


class World:
    """The parts of a reconcile, all fakes."""

    def __init__(self) -> None:
        self.watcher = fakes.FakeWatcher()
        self.renderer = fakes.FakeRenderer()
        self.applier = fakes.FakeApplier()
        self.objections: Sequence[str] = ()

    def context(self) -> reconcile.ControllerContext:
        return reconcile.ControllerContext(
            "app", self.watcher, self.renderer, self.applier, fakes.WORKS, lambda _resource, _rendered: self.objections
        )

    async def reconcile(self, key: str = "ns/web") -> reports.Result:
        return await reconcile.reconcile(self.context(), key)


@pytest.fixture
def world() -> World:
    made = World()
    made.watcher.put(fakes.resource("web", text="1"))
    return made


def raising(error: Exception) -> Any:
    def make(_: interfaces.Resource) -> interfaces.Rendered:
        raise error

    return make


async def test_a_resource_is_rendered_applied_and_reported(world: World) -> None:
    result = await world.reconcile()
    assert result.outcome == interfaces.Outcome.done()
    assert world.applier.world["web"][1]["data"] == {"text": "1", "var": ""}
    report = world.watcher.reports["ns/web"]
    assert (report.ready, report.reason, report.message) == (True, "Applied", "1 object up to date")


async def test_a_resource_that_is_gone_is_cleaned_up_and_not_reported(world: World) -> None:
    await world.reconcile()
    world.watcher.drop("ns/web")
    assert (await world.reconcile()).report is None
    assert world.applier.world == {}


async def test_a_resource_that_is_going_is_cleaned_up(world: World) -> None:
    await world.reconcile()
    world.watcher.put(fakes.resource("web", deleting=True))
    assert (await world.reconcile()).outcome == interfaces.Outcome.done()
    assert world.applier.world == {}


@pytest.mark.parametrize(
    ("applied", "reason", "outcome"),
    [
        (interfaces.Applied(remaining=2), "Deleting", interfaces.Outcome.again()),
        (interfaces.Applied((interfaces.ObjectResult(fakes.config_map("a", {}).ref, Action.WAITING, after=7.0),), 1), "Deleting", interfaces.Outcome.again(7.0)),
        (interfaces.Applied((interfaces.ObjectResult(fakes.config_map("a", {}).ref, Action.FAILED, "no", retryable=True),), 1), "ApplyFailed", interfaces.Outcome.again()),
        (interfaces.Applied((interfaces.ObjectResult(fakes.config_map("a", {}).ref, Action.FAILED, "no"),)), "ApplyFailed", interfaces.Outcome.again()),
    ],
)  # fmt: skip
async def test_a_deletion_that_is_not_done_is_reported(
    world: World, applied: interfaces.Applied, reason: str, outcome: interfaces.Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def delete(_key: str, _owner: object) -> interfaces.Applied:
        await asyncio.sleep(0)
        return applied

    monkeypatch.setattr(world.applier, "delete", delete)
    world.watcher.put(fakes.resource("web", deleting=True))
    result = await world.reconcile()
    assert result.outcome == outcome
    assert world.watcher.reports["ns/web"].reason == reason


@pytest.mark.parametrize(
    ("error", "reason", "retrying", "outcome"),
    [
        (errors.RenderError("no field", place="a.yaml:1"), "RenderFailed", False, DONE),
        (errors.RefusedError("not ours"), "Refused", False, SLOWLY),
        (errors.ClaimedError("another's", retry_after=30), "Refused", False, interfaces.Outcome.again(30, slow=True)),
        (errors.ApiError("busy", status=503), "ApiError", True, SOON),
        (errors.ApiError("Unauthorized", status=401), "ApiError", True, SOON),
        (errors.ApiError("expired", status=410), "ApiError", True, SOON),
        (errors.ApiError("conflict", status=409), "ApiError", True, SOON),
        (errors.ApiError("the answer cannot be read", status=200), "ApiError", True, SOON),
        (errors.ApiError("no space", status=507), "ApiError", True, SOON),
        (errors.ApiError("webhook denied", status=400), "ApiError", False, SLOWLY),
        (errors.ApiError("invalid", status=422), "ApiError", False, SLOWLY),
        (errors.CredentialsError("exec: the token service is down"), "CredentialsFailed", True, SOON),
        (errors.ConfigError("kubeconfig x cannot be used"), "Failed", False, SLOWLY),
        (errors.ConnectionFailed("away"), "ConnectionFailed", True, SOON),
        (errors.ProcessError("kubectl"), "ProcessFailed", True, SOON),
        (errors.LostromosError("other"), "Failed", False, SLOWLY),
        (ZeroDivisionError("secret"), "Failed", True, SOON),
        (asyncio.CancelledError("secret"), "Failed", True, SOON),
    ],
)
async def test_an_error_is_reported_and_everything_but_a_rendering_is_tried_again(
    world: World, error: Exception, reason: str, retrying: bool, outcome: interfaces.Outcome
) -> None:
    world.renderer.make = raising(error)
    result = await world.reconcile()
    report = world.watcher.reports["ns/web"]
    assert (report.ready, report.reason, report.retrying) == (False, reason, retrying)
    assert result.outcome == outcome
    assert "secret" not in report.message


async def test_the_server_decides_when_to_come_again(world: World) -> None:
    world.applier.error = errors.ApiError("busy", status=429, retry_after=7)
    assert (await world.reconcile()).outcome == interfaces.Outcome.again(7)


async def test_failed_objects_are_named_first_with_their_place(world: World) -> None:
    world.renderer.make = lambda _: fakes.manifests(
        fakes.config_map("a", {"bad": 1}), fakes.config_map("b", {"bad": 1}), fakes.config_map("c", {})
    )
    await world.reconcile()
    report = world.watcher.reports["ns/web"]
    assert (report.reason, report.retrying) == ("ApplyFailed", False)
    assert report.message == "data.bad: not allowed (and 1 more)"
    assert [result.action for result in report.objects] == [Action.FAILED, Action.FAILED, Action.CREATED]


async def test_an_object_that_was_refused_is_tried_again_slowly(world: World) -> None:
    world.renderer.make = lambda _: fakes.manifests(fakes.config_map("a", {"bad": 1}))
    assert (await world.reconcile()).outcome == SLOWLY


async def test_what_is_refused_is_tried_again_within_the_period_of_the_controller(world: World) -> None:
    world.applier.error = errors.RefusedError("no")
    parts = dataclasses.replace(world.context(), resync=60.0)
    outcome = (await reconcile.reconcile(parts, "ns/web")).outcome
    assert (outcome.retry, outcome.slow, outcome.after) == (True, True, None)
    assert 48 <= outcome.at_most <= 72


async def test_a_reconcile_that_hangs_is_ended_told_and_tried_again(world: World) -> None:
    async def apply(_owner: object, _rendered: object) -> interfaces.Applied:
        await asyncio.Event().wait()
        raise AssertionError

    world.applier.apply = apply  # type: ignore[method-assign, assignment]
    result = await reconcile.reconcile(dataclasses.replace(world.context(), deadline=0.05), "ns/web")
    assert result.outcome == SOON
    assert "it took longer than" in world.watcher.reports["ns/web"].message


async def test_what_is_not_known_yet_is_not_gone(world: World) -> None:
    await world.reconcile()
    world.watcher.drop("ns/web")
    unknown = dataclasses.replace(world.context(), knows=lambda _key: False)
    result = await reconcile.reconcile(unknown, "ns/web")
    assert (result.outcome, result.report) == (SOON, None)
    assert "web" in world.applier.world


async def test_a_policy_forbids_before_anything_is_applied(world: World) -> None:
    world.objections = ["no host network", "no latest"]
    assert (await world.reconcile()).outcome == SLOWLY, "a policy may know more than the resource"
    assert world.watcher.reports["ns/web"].message == "no host network; no latest"
    assert world.applier.world == {}


async def test_waiting_is_told_and_not_retried(world: World) -> None:
    waiting = interfaces.Unit("b.yaml", waiting="Service x has no IP yet")
    world.renderer.make = lambda _: interfaces.Manifests(
        (interfaces.Unit("a.yaml", (fakes.config_map("a", {}),)), waiting)
    )
    result = await world.reconcile()
    report = world.watcher.reports["ns/web"]
    assert (report.ready, report.reason, report.message) == (False, "Waiting", "b.yaml: Service x has no IP yet")
    assert result.outcome == interfaces.Outcome.done()
    assert "a" in world.applier.world


async def test_a_resource_that_cannot_be_read_is_reported(world: World) -> None:
    item = fakes.resource("web")
    broken = interfaces.Resource(
        item.key, item.ref, item.uid, {"metadata": item.metadata}, unreadable="nested too deeply"
    )
    world.watcher.put(broken)
    await world.reconcile()
    assert world.watcher.reports["ns/web"].reason == "Unreadable"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (fakes.RETRYABLE, "soon"),
        (fakes.TERMINAL, "slowly"),
        (ZeroDivisionError(), "soon"),
        (asyncio.CancelledError(), "soon"),
    ],
)
async def test_a_report_that_cannot_be_written_is_always_tried_again(
    world: World, error: Exception, outcome: str
) -> None:
    world.watcher.report_error = error
    result = await world.reconcile()
    assert result.outcome == {"soon": SOON, "slowly": SLOWLY}[outcome]
    assert result.report is not None
    assert result.report.reason == "StatusNotWritten"


async def test_a_renderer_may_be_asynchronous(world: World) -> None:
    async def render(_resource: object, _context: object) -> interfaces.Manifests:
        await asyncio.sleep(0)
        return fakes.manifests(fakes.config_map("late", {}))

    world.renderer.render = render  # type: ignore[method-assign, assignment]
    await world.reconcile()
    assert "late" in world.applier.world


async def applying(world: World) -> asyncio.Task[reports.Result]:
    """A reconcile that has begun to apply, and does not end by itself."""
    started = asyncio.Event()

    async def apply(_owner: object, _rendered: object) -> interfaces.Applied:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    world.applier.apply = apply  # type: ignore[method-assign, assignment]
    task = asyncio.create_task(world.reconcile())
    await started.wait()
    return task


async def test_an_interrupted_reconcile_says_so(world: World) -> None:
    task = await applying(world)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.watcher.reports["ns/web"].reason == "Interrupted"


async def test_who_lost_the_work_to_another_operator_writes_nothing(world: World) -> None:
    task = await applying(world)
    task.cancel(reconcile.TAKEN_OVER)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.watcher.reports == {}
