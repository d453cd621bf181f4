"""The Operator with fakes for its parts: intake, workers, once, the end; and with Hypothesis, that it converges."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import structlog.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from lostromos_core import errors, hookspecs, interfaces, plugins
from lostromos_core.engine import change_log, controller, supervision, worker_pool
from lostromos_core.engine import operator as operators
from lostromos_core.kube import cluster
from lostromos_core.kube.transport import client
from tests import fakes

if TYPE_CHECKING:
    from collections.abc import Callable

NO_CLUSTER = client.Client("/nowhere")


class Recorder:
    """A plug-in that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []

    @hookspecs.hookimpl
    def lostromos_reconciled(self, controller: str, key: str, report: interfaces.Report | None, seconds: float) -> None:
        assert seconds >= 0
        self.told.append(("reconciled", controller, key, report.reason if report else ""))

    @hookspecs.hookimpl
    def lostromos_unreadable(self, controller: str, key: str, reason: str) -> None:
        self.told.append(("unreadable", controller, key, reason))


def make(watcher: Any = None, applier: Any = None, **options: Any) -> operators.Operator:
    one = controller.Controller(
        "app", watch=watcher or fakes.FakeWatcher(), render=fakes.FakeRenderer(), apply=applier or fakes.FakeApplier()
    )
    return operators.Operator([one], **{"kube": NO_CLUSTER, "registry": plugins.load(), **options})


async def test_signals_belong_to_the_program_that_serves() -> None:
    """Two operators in one loop beside a program that handles SIGTERM itself: it is called, and they go on."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, told.set)
    try:
        made = [make(), make()]
        serving = [asyncio.create_task(operator.serve()) for operator in made]
        for operator in made:
            await operator.started.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await fakes.until(told.is_set)
        assert not any(task.done() for task in serving)
        assert (await make().once()).ready
        for operator in made:
            operator.stop()
        await asyncio.gather(*serving)
        assert loop.remove_signal_handler(signal.SIGTERM), "the program's handler is still there"
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


RUNS = """
import signal
from lostromos_core import Controller, Operator
from lostromos_core.kube import Client
from tests import fakes

class Telling(fakes.FakeWatcher):
    async def watch(self, sink):
        print("watching", flush=True)
        await super().watch(sink)

signal.signal(signal.SIGTERM, print)
interrupted = signal.getsignal(signal.SIGINT)
one = Controller("app", watch=Telling(), render=fakes.FakeRenderer(), apply=fakes.FakeApplier())
Operator([one], kube=Client("/nowhere")).run()
assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == (print, interrupted)
print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_ends_in_order_on_a_signal(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", RUNS], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert any(line == "watching\n" for line in process.stdout)
            process.send_signal(number)
            assert "ended\n" in process.stdout.readlines()
            assert process.wait(60) == 0
        finally:
            process.kill()


async def test_it_reconciles_what_is_there_and_what_changes_until_it_is_stopped() -> None:
    watcher, applier = fakes.FakeWatcher(), fakes.FakeApplier()
    watcher.put(fakes.resource("early", text="1"))
    operator = make(watcher, applier, vars={"var": "v"})
    serving = asyncio.create_task(operator.serve())
    await fakes.until(lambda: "early" in applier.world)
    assert applier.world["early"][1]["data"] == {"text": "1", "var": "v"}
    watcher.put(fakes.resource("late", text="2"))
    watcher.put(fakes.resource("early", text="3"))
    await fakes.until(lambda: "late" in applier.world and applier.world["early"][1]["data"]["text"] == "3")
    watcher.drop("ns/early")
    await fakes.until(lambda: "early" not in applier.world)
    operator.stop()
    await serving


async def test_once_returns_how_everything_went() -> None:
    watcher = fakes.FakeWatcher()
    watcher.put(fakes.resource("a"))
    watcher.put(fakes.resource("b"))
    summary = await make(watcher).once()
    assert summary.ready
    assert sorted(summary.results) == [("app", "ns/a"), ("app", "ns/b")]


async def test_once_says_what_could_not_be_watched() -> None:
    class Troubled(fakes.FakeWatcher):
        async def watch(self, sink: interfaces.EventSink) -> None:
            sink.trouble("no such kind")
            sink.trouble("no such kind")
            await asyncio.Event().wait()

    summary = await make(Troubled()).once()
    assert not summary.ready
    assert summary.troubles == {"app": "no such kind"}


async def test_plug_ins_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    watcher = fakes.FakeWatcher()
    item = fakes.resource("broken")
    watcher.put(interfaces.Resource(item.key, item.ref, item.uid, item.data, unreadable="too deep"))
    await make(watcher, registry=plugins.load([("recorder", recorder)])).once()
    assert recorder.told == [
        ("unreadable", "app", "ns/broken", "too deep"),
        ("reconciled", "app", "ns/broken", "Unreadable"),
    ]
    del monkeypatch


async def test_a_watcher_that_fails_or_ends_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "RESTART_WATCH", 0.001)

    class Flaky(fakes.FakeWatcher):
        times = 0

        async def watch(self, sink: interfaces.EventSink) -> None:
            Flaky.times += 1
            if Flaky.times == 1:
                raise ZeroDivisionError
            if Flaky.times > 2:
                await super().watch(sink)

    watcher, applier = Flaky(), fakes.FakeApplier()
    watcher.put(fakes.resource("a"))
    operator = make(watcher, applier)
    serving = asyncio.create_task(operator.serve())
    await fakes.until(lambda: "a" in applier.world)
    operator.stop()
    await serving
    assert Flaky.times == 3


async def test_work_that_takes_too_long_is_cancelled_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "GRACE", 0.05)

    class Slow(fakes.FakeApplier):
        started = asyncio.Event()

        async def apply(self, owner: interfaces.Resource, rendered: interfaces.Rendered) -> interfaces.Applied:
            del owner, rendered
            self.started.set()
            await asyncio.Event().wait()
            raise AssertionError

    watcher = fakes.FakeWatcher()
    watcher.put(fakes.resource("a"))
    operator = make(watcher, Slow())
    serving = asyncio.create_task(operator.serve())
    await Slow.started.wait()
    operator.stop()
    async with asyncio.timeout(30):
        await serving
    assert watcher.reports["ns/a"].reason == "Interrupted"


async def test_a_cancellation_from_within_a_plug_in_ends_no_worker() -> None:
    class Leaking(fakes.FakeApplier):
        async def apply(self, owner: interfaces.Resource, rendered: interfaces.Rendered) -> interfaces.Applied:
            if owner.ref.name.startswith("bad"):
                inner = asyncio.get_running_loop().create_future()
                inner.cancel()
                await inner
            return await super().apply(owner, rendered)

    watcher, applier = fakes.FakeWatcher(), Leaking()
    for number in range(4):
        watcher.put(fakes.resource(f"bad{number}"))
    operator = make(watcher, applier, workers=4)
    serving = asyncio.create_task(operator.serve())
    await fakes.until(lambda: len(watcher.reports) == 4)
    watcher.put(fakes.resource("good"))
    await fakes.until(lambda: "good" in applier.world)
    assert {report.reason for key, report in watcher.reports.items() if "bad" in key} == {"Failed"}
    operator.stop()
    await serving


async def test_a_controller_that_is_slow_delays_no_other() -> None:
    class Slow(fakes.FakeApplier):
        async def apply(self, owner: interfaces.Resource, rendered: interfaces.Rendered) -> interfaces.Applied:
            await release.wait()
            return await super().apply(owner, rendered)

    release = asyncio.Event()
    slow, fast, quick = fakes.FakeWatcher(), fakes.FakeWatcher(), fakes.FakeApplier()
    for number in range(40):
        slow.put(fakes.resource(f"slow{number}"))
    controllers = [
        controller.Controller(name, watch=watcher, render=fakes.FakeRenderer(), apply=applier)
        for name, watcher, applier in (("slow", slow, Slow()), ("quick", fast, quick))
    ]
    operator = operators.Operator(controllers, kube=NO_CLUSTER, registry=plugins.load(), workers=4)
    serving = asyncio.create_task(operator.serve())
    await fakes.until(lambda: fast.sink is not None)
    fast.put(fakes.resource("urgent"))
    await fakes.until(lambda: "urgent" in quick.world)
    release.set()
    operator.stop()
    await serving


async def test_once_ends_with_one_worker_though_a_delay_is_over_meanwhile() -> None:
    class Failing(fakes.FakeApplier):
        async def apply(self, owner: interfaces.Resource, rendered: interfaces.Rendered) -> interfaces.Applied:
            if owner.ref.name == "fails":
                raise errors.ApiError("busy", status=503)
            await asyncio.sleep(0.6)  # longer than the first delay of the other one
            return await super().apply(owner, rendered)

    watcher, applier = fakes.FakeWatcher(), Failing()
    for name in ("fails", "slow", "slower", "slowest"):
        watcher.put(fakes.resource(name))
    async with asyncio.timeout(20):
        summary = await make(watcher, applier, workers=1).once()
    assert not summary.ready
    assert set(applier.world) == {"slow", "slower", "slowest"}


async def test_a_hook_that_lets_anything_out_ends_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    watcher, applier = fakes.FakeWatcher(), fakes.FakeApplier()
    watcher.put(fakes.resource("a"))
    real = change_log.record_all
    monkeypatch.setattr(change_log, "record_all", lambda *_: 1 / 0)
    operator = make(watcher, applier, workers=1)
    serving = asyncio.create_task(operator.serve())
    await fakes.until(lambda: "a" in applier.world)
    monkeypatch.setattr(change_log, "record_all", real)
    watcher.put(fakes.resource("b"))
    await fakes.until(lambda: "b" in applier.world)
    operator.stop()
    await serving


@pytest.mark.parametrize("end", [PermissionError("no"), None, asyncio.CancelledError()])
async def test_once_ends_though_a_watcher_does(end: BaseException | None) -> None:
    class Broken(fakes.FakeWatcher):
        async def watch(self, sink: interfaces.EventSink) -> None:
            del sink
            if end is not None:
                raise end

    async with asyncio.timeout(30):
        summary = await make(Broken()).once()
    assert not summary.ready
    assert "the watcher" in summary.troubles["app"]


async def test_what_a_watcher_has_not_read_yet_is_not_deleted() -> None:
    class Slow(fakes.FakeWatcher):
        async def watch(self, sink: interfaces.EventSink) -> None:
            self.sink = sink
            await release.wait()
            self.resources["ns/web"] = fakes.resource("web")
            await super().watch(sink)

    class Eager(fakes.FakeApplier):
        deleted: ClassVar[list[str]] = []

        async def start(self, runtime: interfaces.Runtime) -> None:
            runtime.enqueue("ns/web")  # it found drift of what it made in an earlier process

        async def delete(self, key: str, owner: interfaces.Resource | None) -> interfaces.Applied:
            self.deleted.append(key)
            return await super().delete(key, owner)

    release, applier, watcher = asyncio.Event(), Eager(), Slow()
    operator = make(watcher, applier)
    serving = asyncio.create_task(operator.serve())
    await fakes.until(lambda: watcher.sink is not None)
    await asyncio.sleep(0.3)
    release.set()
    await fakes.until(lambda: "web" in applier.world)
    assert not Eager.deleted
    operator.stop()
    await serving


@pytest.mark.parametrize("part", ["watcher", "applier"])
async def test_a_part_that_cannot_run_dry_is_refused(part: str) -> None:
    class Dry:
        can_dry_run = True

    class DryWatcher(Dry, fakes.FakeWatcher): ...

    class DryApplier(Dry, fakes.FakeApplier): ...

    watcher = fakes.FakeWatcher() if part == "watcher" else DryWatcher()
    applier = fakes.FakeApplier() if part == "applier" else DryApplier()
    watcher.put(fakes.resource("a"))
    dry = client.Client("/nowhere", dry_run=True)
    with pytest.raises(errors.ConfigError, match=f"controller app: the {part} Fake{part.title()} has no dry run"):
        await make(watcher, applier, kube=dry).once()
    assert applier.world == {}
    assert (await make(DryWatcher(), DryApplier(), kube=dry).once()).ready


@pytest.mark.parametrize("rings", [False, True])
async def test_a_deletion_ends_also_if_the_applier_only_says_how_much_remains(rings: bool) -> None:
    class Slow(fakes.FakeApplier):
        remaining = 4 if not rings else 50
        enqueue: Callable[[str], None] = staticmethod(lambda _: None)

        async def start(self, runtime: interfaces.Runtime) -> None:
            self.enqueue = runtime.enqueue

        async def delete(self, key: str, owner: interfaces.Resource | None) -> interfaces.Applied:
            if self.remaining:
                self.remaining -= 1
                if rings:
                    asyncio.get_running_loop().call_later(0.001, self.enqueue, key)
                return interfaces.Applied(remaining=1)
            return await super().delete(key, owner)

    watcher, applier = fakes.FakeWatcher(), Slow()
    watcher.put(fakes.resource("web"))
    operator = make(watcher, applier)
    serving = asyncio.create_task(operator.serve())
    await fakes.until(lambda: "web" in applier.world)
    watcher.put(fakes.resource("web", deleting=True))
    async with asyncio.timeout(20):
        while applier.world:
            await asyncio.sleep(0.01)
    operator.stop()
    await serving


async def test_variables_may_come_from_a_function() -> None:
    watcher, applier = fakes.FakeWatcher(), fakes.FakeApplier()
    watcher.put(fakes.resource("a"))

    async def gather(kube: object) -> dict[str, str]:
        await asyncio.sleep(0)
        assert isinstance(kube, cluster.Cluster)
        assert kube.client is NO_CLUSTER
        return {"var": "found"}

    await make(watcher, applier, vars=gather).once()
    assert applier.world["a"][1]["data"]["var"] == "found"


@pytest.mark.parametrize("once", [False, True])
async def test_a_start_that_takes_for_ever_can_be_stopped(once: bool) -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def gather(_kube: object) -> dict[str, str]:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return {}

    watcher = fakes.FakeWatcher()
    operator = make(watcher, vars=gather)
    running = asyncio.create_task(operator.once() if once else operator.serve())
    await started.wait()
    with structlog.testing.capture_logs() as logs:
        operator.stop()
        async with asyncio.timeout(30):
            summary = await running
    assert ended.is_set()
    assert watcher.sink is None, "nothing was watched"
    if once:
        assert summary is not None
        assert not summary.ready
    else:
        assert [entry["event"] for entry in logs] == ["stopping", "stopped"]


async def test_a_start_that_fails_says_why() -> None:
    async def gather(_kube: object) -> dict[str, str]:
        await asyncio.sleep(0)
        raise errors.ConfigError("no such Secret")

    with pytest.raises(errors.ConfigError, match="no such Secret"):
        await make(vars=gather).serve()


async def test_a_start_that_cannot_be_cancelled_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "CANCEL", 0.02)
    release = asyncio.Event()

    async def gather(_kube: object) -> dict[str, str]:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()
        return {}

    operator = make(vars=gather)
    running = asyncio.create_task(operator.serve())
    await asyncio.sleep(0.01)
    with structlog.testing.capture_logs() as logs:
        operator.stop()
        async with asyncio.timeout(30):
            await running
    assert ("a task ignored its cancellation", "start") in [(log["event"], log.get("task")) for log in logs]
    release.set()
    await asyncio.sleep(0)


def test_two_controllers_of_one_name_are_refused() -> None:
    one = controller.Controller(
        "app", watch=fakes.FakeWatcher(), render=fakes.FakeRenderer(), apply=fakes.FakeApplier()
    )
    with pytest.raises(errors.ConfigError, match="two controllers"):
        operators.Operator([one, one])


@pytest.mark.parametrize("workers", [-1, 0, 257])
def test_a_number_of_workers_that_cannot_work_is_refused(workers: int) -> None:
    with pytest.raises(errors.ConfigError, match=f"workers is {workers}; choose a number from 1 to 256"):
        make(workers=workers)


def test_a_renderer_and_an_applier_must_fit() -> None:
    class Charts(fakes.FakeApplier):
        accepts = interfaces.Values  # type: ignore[assignment]

    with pytest.raises(errors.ConfigError, match="the renderer makes Manifests, but the applier takes Values"):
        controller.Controller("app", watch=fakes.FakeWatcher(), render=fakes.FakeRenderer(), apply=Charts())


def test_run_blocks_until_it_is_stopped() -> None:
    watcher = fakes.FakeWatcher()
    operator = make(watcher)

    async def watch(sink: interfaces.EventSink) -> None:
        sink.synced()
        operator.stop()
        await asyncio.Event().wait()

    watcher.watch = watch  # type: ignore[method-assign]
    operator.run()


STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "drop", "fail", "heal", "pause"]), st.sampled_from("abc"), st.integers(0, 3)),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_whatever_happens_the_world_becomes_what_the_resources_say(steps: list[tuple[str, str, int]]) -> None:
    asyncio.run(_converges(steps))


async def _converges(steps: list[tuple[str, str, int]]) -> None:
    watcher, applier = fakes.FakeWatcher(), fakes.FakeApplier()
    operator = make(watcher, applier, workers=3)
    serving = asyncio.create_task(operator.serve())
    await fakes.until(lambda: watcher.sink is not None)
    for step, name, number in steps:
        if step == "put":
            watcher.put(fakes.resource(name, generation=number, text=str(number)))
        elif step == "drop":
            watcher.drop(f"ns/{name}")
        elif step == "pause":
            await asyncio.sleep(0)
        else:
            applier.error = errors.ApiError("busy", status=503, retry_after=0.001) if step == "fail" else None
    applier.error = None
    expected = {item.ref.name: item.data["spec"]["text"] for item in watcher.resources.values()}
    await fakes.until(lambda: {name: data["data"]["text"] for name, (_, data) in applier.world.items()} == expected)
    await fakes.until(lambda: all(watcher.reports[key].ready for key in watcher.resources))
    operator.stop()
    await serving


async def test_what_is_not_known_yet_counts_as_not_looked_at() -> None:
    class Slow(fakes.FakeWatcher):
        known = asyncio.Event()

        async def watch(self, sink: interfaces.EventSink) -> None:
            sink.enqueue("ns/web")
            await self.known.wait()
            await super().watch(sink)

        async def get(self, key: str) -> interfaces.Resource | None:
            return await super().get(key) if self.known.is_set() else None

    watcher, applier = Slow(), fakes.FakeApplier()
    watcher.put(fakes.resource("web"))
    operator = make(watcher, applier)
    look = operator._states["app"].first_look
    serving = asyncio.create_task(operator.serve())
    await asyncio.sleep(0.1)
    assert look.waits_for_others("ns/other")
    assert look._ahead == {"ns/web"}
    Slow.known.set()
    await fakes.until(lambda: look.complete)
    operator.stop()
    await serving
