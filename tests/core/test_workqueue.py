"""The queue: every key is handed out, to one holder at a time, and nobody starves."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lostromos_core import interfaces, workqueue

KEYS = st.sampled_from([(group, name) for group in ("one", "two") for name in "abc"])


class ScheduleMachine(RuleBasedStateMachine):
    """Compares the schedule with a model that keeps, for each key, what must still happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule: workqueue.Schedule[tuple[str, str]] = workqueue.Schedule(lambda key: key[0])
        self.now = 0.0
        self.owed: set[tuple[str, str]] = set()
        self.held: set[tuple[str, str]] = set()
        self.due: dict[tuple[str, str], float] = {}

    @rule(key=KEYS)
    def add(self, key: tuple[str, str]) -> None:
        self.schedule.add(key)
        self.owed.add(key)
        self.due.pop(key, None)

    @rule(key=KEYS, delay=st.integers(0, 20))
    def add_later(self, key: tuple[str, str], delay: int) -> None:
        self.schedule.add_later(key, self.now + delay)
        if key not in self.owed:
            self.due[key] = min(self.due.get(key, float("inf")), self.now + delay)

    @rule(seconds=st.integers(0, 10))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def take(self) -> None:
        for key in [key for key, due in self.due.items() if due <= self.now]:
            del self.due[key]
            self.owed.add(key)
        taken = self.schedule.take(self.now)
        if taken is None:
            assert not self.owed - self.held, "a key that is ready must be handed out"
            return
        assert taken in self.owed
        assert taken not in self.held, "one holder at a time"
        self.owed.discard(taken)
        self.held.add(taken)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def let_go(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.held)))
        self.held.discard(key)
        self.schedule.let_go(key)

    @invariant()
    def the_next_time_is_known(self) -> None:
        found = self.schedule.next_due()
        assert found == min(self.due.values(), default=None)
        assert self.schedule.delayed == len(self.due)
        assert self.schedule.ready == len(self.owed - self.held) + len(self.held)


TestSchedule = ScheduleMachine.TestCase
TestSchedule.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)


def test_groups_take_turns() -> None:
    schedule: workqueue.Schedule[tuple[str, int]] = workqueue.Schedule(lambda key: key[0])
    for number in range(10_000):
        schedule.add(("many", number))
    schedule.add(("few", 1))
    first = [schedule.take(0) for _ in range(2)]
    assert ("few", 1) in first


def queue(clock: list[float]) -> workqueue.WorkQueue[str]:
    return workqueue.WorkQueue(lambda key: key, clock=lambda: clock[0], backoff=lambda failures: 1.0 * failures)


async def test_a_held_key_blocks_no_other_and_comes_again_after_it_was_let_go() -> None:
    made = queue([0.0])
    made.add("a")
    assert await made.take() == "a"
    made.add("a")
    made.add("b")
    assert await made.take() == "b"
    taking = asyncio.create_task(made.take())
    await asyncio.sleep(0)
    assert not taking.done()
    made.let_go("a", interfaces.Outcome.done())
    assert await taking == "a"


async def test_failures_in_a_row_wait_longer_and_a_success_forgets_them() -> None:
    clock = [0.0]
    made = queue(clock)
    for expected in (1.0, 2.0, 3.0):
        made.add("a")
        await made.take()
        made.let_go("a", interfaces.Outcome.again())
        assert made._schedule.next_due() == clock[0] + expected
    clock[0] = 100.0
    assert await made.take() == "a"
    made.let_go("a", interfaces.Outcome.done())
    made.add("a")
    await made.take()
    made.let_go("a", interfaces.Outcome.again())
    assert made._schedule.next_due() == 101.0
    made.add("a")
    await made.take()
    made.let_go("a", interfaces.Outcome.again(7))
    assert made._schedule.next_due() == 107.0


async def test_a_delayed_key_comes_by_itself() -> None:
    made: workqueue.WorkQueue[str] = workqueue.WorkQueue(lambda key: key)
    made.add("a")
    await made.take()
    made.let_go("a", interfaces.Outcome.again(0.02))
    started = time.monotonic()
    assert await made.take() == "a"
    assert 0.01 < time.monotonic() - started < 1


async def test_join_waits_for_ready_and_held_keys_only() -> None:
    made = queue([0.0])
    made.add("a")
    joining = asyncio.create_task(made.join())
    await made.take()
    await asyncio.sleep(0)
    assert not joining.done()
    made.let_go("a", interfaces.Outcome.again(1000))
    await joining
    assert made.depth == 0


@pytest.mark.parametrize("failures", [1, 2, 5, 100])
def test_the_back_off_grows_to_five_minutes_with_jitter(failures: int) -> None:
    ceiling = min(300.0, 0.2 * 2**failures)
    found = {workqueue.full_jitter(failures) for _ in range(50)}
    assert all(ceiling / 4 <= seconds <= ceiling for seconds in found)
    assert len(found) > 1
