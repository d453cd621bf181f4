"""The life of a controller's parts: started in order, stopped once, ended at their deadline, with workers of their own."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import structlog.testing

from lostromos_core import errors, interfaces, plugins
from lostromos_core.engine import controller, worker_pool
from lostromos_core.engine import operator as operators
from lostromos_core.kube.transport import client
from tests import fakes

NO_CLUSTER = client.Client("/nowhere")


def serve(*controllers: controller.Controller, **options: Any) -> operators.Operator:
    return operators.Operator(controllers, **{"kube": NO_CLUSTER, "registry": plugins.load(), **options})


class Part:
    """Tells when it starts and stops."""

    def __init__(self, name: str, told: list[str]) -> None:
        super().__init__()
        self.name, self.told = name, told

    async def start(self, runtime: interfaces.Runtime) -> None:
        self.told.append(f"start {self.name} of {runtime.controller}")

    async def stop(self) -> None:
        self.told.append(f"stop {self.name}")


class Watcher(Part, fakes.FakeWatcher): ...


class Renderer(Part, fakes.FakeRenderer): ...


class Applier(Part, fakes.FakeApplier):
    async def apply(self, owner: interfaces.Resource, rendered: interfaces.Rendered) -> interfaces.Applied:
        self.told.append("apply")
        return await super().apply(owner, rendered)


def parts(told: list[str], **other: Any) -> dict[str, Any]:
    return {
        "watch": Watcher("watcher", told),
        "render": Renderer("renderer", told),
        "apply": Applier("applier", told),
        **other,
    }


ALL = ["start watcher of app", "start renderer of app", "start applier of app"]


async def test_parts_are_stopped_after_the_last_reconcile_the_last_one_first() -> None:
    told: list[str] = []
    given = parts(told)
    given["watch"].put(fakes.resource("web"))
    operator = serve(controller.Controller("app", **given))
    serving = asyncio.create_task(operator.serve())
    await fakes.until(lambda: "apply" in told)
    operator.stop()
    await serving
    assert told == [*ALL, "apply", "stop applier", "stop renderer", "stop watcher"]


async def test_parts_are_stopped_after_once() -> None:
    told: list[str] = []
    assert (await serve(controller.Controller("app", **parts(told))).once()).ready
    assert told == [*ALL, "stop applier", "stop renderer", "stop watcher"]


async def test_a_part_that_does_not_start_is_not_stopped_and_the_others_are() -> None:
    class Broken(Renderer):
        async def start(self, runtime: interfaces.Runtime) -> None:
            message = f"no templates for {runtime.controller}"
            raise errors.ConfigError(message)

    told: list[str] = []
    first = controller.Controller("first", **parts(told))
    second = controller.Controller("second", **parts(told, render=Broken("broken", told)))
    with pytest.raises(errors.ConfigError, match="no templates for second"):
        await serve(first, second).serve()
    assert sorted(told[4:]) == ["stop applier", "stop renderer", "stop watcher", "stop watcher"]


async def test_a_part_that_fails_to_stop_or_hangs_keeps_nothing_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "STOP", 0.05)

    class Hangs(Renderer):
        async def stop(self) -> None:
            await asyncio.Event().wait()

    class Raises(Applier):
        async def stop(self) -> None:
            raise ZeroDivisionError

    class Leaks(Renderer):
        async def stop(self) -> None:
            inner = asyncio.get_running_loop().create_future()
            inner.cancel()
            await inner

    told: list[str] = []
    made = [
        controller.Controller("app", **parts(told, render=Hangs("h", told), apply=Raises("r", told))),
        controller.Controller("other", **parts(told, render=Leaks("l", told))),
    ]
    with structlog.testing.capture_logs() as logs:
        async with asyncio.timeout(30):
            await serve(*made).once()
    said = sorted((log["part"], log["event"]) for log in logs if "part" in log)
    assert said == [
        ("Hangs", "a part did not stop in time"),
        ("Leaks", "a part could not be stopped"),
        ("Raises", "a part could not be stopped"),
    ]
    assert told.count("stop watcher") == 2


class Slow(fakes.FakeApplier):
    """Takes until it is told, and counts how many are at it."""

    def __init__(self) -> None:
        super().__init__()
        self.go, self.at_work, self.most = asyncio.Event(), 0, 0

    async def apply(self, owner: interfaces.Resource, rendered: interfaces.Rendered) -> interfaces.Applied:
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        await self.go.wait()
        self.at_work -= 1
        return await super().apply(owner, rendered)


def made(name: str, applier: fakes.FakeApplier, count: int, **options: Any) -> controller.Controller:
    watcher = fakes.FakeWatcher()
    for number in range(count):
        watcher.put(fakes.resource(f"{name}{number}"))
    return controller.Controller(name, watch=watcher, render=fakes.FakeRenderer(), apply=applier, **options)


async def test_each_controller_has_as_many_workers_as_it_asks_for() -> None:
    few, usual = Slow(), Slow()
    operator = serve(made("few", few, 40, concurrency=2), made("usual", usual, 40), workers=5)
    serving = asyncio.create_task(operator.serve())
    await fakes.until(lambda: (few.at_work, usual.at_work) == (2, 5))
    for applier in (few, usual):
        applier.go.set()
    await fakes.until(lambda: len(few.world) == len(usual.world) == 40)
    operator.stop()
    await serving
    assert (few.most, usual.most) == (2, 5)


async def test_a_slow_controller_keeps_no_other_waiting() -> None:
    slow, quick = Slow(), fakes.FakeApplier()
    one = made("slow", slow, 40)
    watcher = fakes.FakeWatcher()
    other = controller.Controller("quick", watch=watcher, render=fakes.FakeRenderer(), apply=quick)
    operator = serve(one, other)
    serving = asyncio.create_task(operator.serve())
    await fakes.until(lambda: slow.at_work == 16)
    started = time.monotonic()
    watcher.put(fakes.resource("web"))
    await fakes.until(lambda: "web" in quick.world)
    assert time.monotonic() - started < 10, "not after the slow ones, which never end"
    assert slow.at_work == 16
    slow.go.set()
    operator.stop()
    await serving


async def test_a_part_that_hangs_is_ended_at_the_deadline_of_its_controller() -> None:
    watcher = fakes.FakeWatcher()
    watcher.put(fakes.resource("web"))
    one = controller.Controller("app", watch=watcher, render=fakes.FakeRenderer(), apply=Slow(), deadline=0.05)
    operator = serve(one)
    serving = asyncio.create_task(operator.serve())
    await fakes.until(lambda: "ns/web" in watcher.reports)
    operator.stop()
    await serving
    report = watcher.reports["ns/web"]
    assert (report.ready, report.retrying) == (False, True)
    assert "0.05" in report.message


class Patient(Slow):
    longest = 3600.0


async def test_the_deadline_is_never_shorter_than_what_the_applier_needs() -> None:
    one = controller.Controller(
        "app", watch=fakes.FakeWatcher(), render=fakes.FakeRenderer(), apply=Patient(), deadline=5.0
    )
    context = one.bind(interfaces.Context(), plugins.load(), None)  # type: ignore[arg-type]
    assert context.deadline == 3600.0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"concurrency": 0}, "concurrency is 0; choose a number from 1 to 256"),
        ({"concurrency": 257}, "concurrency is 257"),
        ({"deadline": 0.0}, "deadline is 0; choose a number of seconds above 0"),
        ({"deadline": float("inf")}, "deadline is inf"),
        ({"deadline": float("nan")}, "deadline is nan"),
    ],
)
def test_limits_that_cannot_be_kept_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(errors.ConfigError, match=says):
        made("app", Slow(), 0, **given)
