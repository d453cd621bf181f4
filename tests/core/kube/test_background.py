"""What runs in the background goes on after a failure, and is not lost silently."""

from __future__ import annotations

import asyncio

import structlog.testing

from lostromos_core import errors
from lostromos_core.kube import cluster as clusters
from lostromos_core.kube.transport import background, client
from tests import fakes


class Clock:
    """Time that passes by sleeping only."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


async def test_what_fails_is_logged_with_its_name_and_started_again_later_each_time() -> None:
    clock = Clock()
    made = background.Background(clock=lambda: clock.now, sleep=clock.sleep)
    tries = 0

    async def run() -> None:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0)
        if tries == 9:
            clock.now += 3600
        if tries <= 10:
            raise ZeroDivisionError if tries < 10 else errors.ConfigError("the chart is gone")

    with structlog.testing.capture_logs() as logs:
        made.start(run, name="look")
        await fakes.until(lambda: tries == 11)
    assert clock.slept == [1, 2, 4, 8, 16, 32, 60, 60, 1, 2], "as short as at first after an hour without a failure"
    assert {(entry["task"], entry["log_level"]) for entry in logs} == {("look", "error")}
    assert [entry["exc_info"] for entry in logs] == [True] * 9 + [False]
    assert logs[-1]["reason"] == "the chart is gone"
    await made.close()


async def test_closing_ends_what_runs_and_what_waits_to_run_again() -> None:
    made = background.Background()
    ended: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("forever")

    async def failing() -> None:
        ended.append("failing")
        raise OSError

    with structlog.testing.capture_logs():
        made.start(forever, name="forever")
        made.start(failing, name="failing")
        await fakes.until(lambda: bool(ended))
        await made.close()
    assert sorted(ended) == ["failing", "forever"]
    assert {task.get_name() for task in asyncio.all_tasks()}.isdisjoint({"forever", "failing"})


async def test_a_connection_keeps_its_background_running() -> None:
    kube = clusters.Cluster(client.Client("/nowhere"))
    ran = asyncio.Event()

    async def run() -> None:
        ran.set()
        await asyncio.Event().wait()

    kube.background(run, name="watch")
    async with asyncio.timeout(30):
        await ran.wait()
    await kube.close()
    assert "watch" not in {task.get_name() for task in asyncio.all_tasks()}
