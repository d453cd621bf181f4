"""The queue: every key is handed out, to one holder at a time, and nobody starves."""

from __future__ import annotations

import asyncio
import collections
import time

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lostromos_core import interfaces
from lostromos_core.engine import workqueue

CONTROLLERS, NAMESPACES = ("one", "two", "three"), ("a", "b", "c")
KEYS = st.sampled_from([(group, f"{space}/{name}") for group in CONTROLLERS for space in NAMESPACES for name in "xy"])


def group_of(key: tuple[str, str]) -> tuple[str, str]:
    return key[0], key[1].partition("/")[0]


class ScheduleMachine(RuleBasedStateMachine):
    """Compares the schedule with a model that keeps, for each key, what must still happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule: workqueue.Schedule[tuple[str, str]] = workqueue.Schedule(group_of)
        self.now = 0.0
        self.waited: collections.Counter[object] = collections.Counter()
        self.owed: set[tuple[str, str]] = set()
        self.held: set[tuple[str, str]] = set()
        self.due: dict[tuple[str, str], float] = {}

    @rule(key=KEYS)
    def add(self, key: tuple[str, str]) -> None:
        self.schedule.add(key)
        self.owed.add(key)
        self.due.pop(key, None)

    @rule(key=KEYS, delay=st.integers(0, 20))
    def add_after(self, key: tuple[str, str], delay: int) -> None:
        self.schedule.add_after(key, self.now + delay)
        if key not in self.owed:
            self.due[key] = min(self.due.get(key, float("inf")), self.now + delay)

    @rule(seconds=st.integers(0, 10))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def get(self) -> None:
        for key in [key for key, due in self.due.items() if due <= self.now]:
            del self.due[key]
            self.owed.add(key)
        taken = self.schedule.get(self.now)
        if taken is None:
            assert not self.owed - self.held, "a key that is ready must be handed out"
            return
        assert taken in self.owed
        assert taken not in self.held, "one holder at a time"
        self.see_fairness(taken)
        self.owed.discard(taken)
        self.held.add(taken)

    def see_fairness(self, taken: tuple[str, str]) -> None:
        """Who is ready waits for each of the others once: controllers for controllers, namespaces for their like."""
        ready = {group_of(key) for key in self.owed - self.held}
        controller = taken[0]
        self.waited.update({name for name, _ in ready} | {group for group in ready if group[0] == controller})
        for served in (controller, group_of(taken)):
            self.waited[served] = 0
        for waiting in list(self.waited):
            if waiting not in ready and waiting not in {name for name, _ in ready}:
                self.waited[waiting] = 0
            assert self.waited[waiting] < 3

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.held)))
        self.held.discard(key)
        self.schedule.done(key)

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
    first = [schedule.get(0) for _ in range(2)]
    assert ("few", 1) in first


def test_a_thousand_namespaces_of_a_controller_do_not_delay_the_one_of_another() -> None:
    schedule: workqueue.Schedule[tuple[str, str]] = workqueue.Schedule(_groups)
    for number in range(10_000):
        schedule.add(("many", f"ns-{number % 1000}/{number}"))
    served: collections.Counter[str] = collections.Counter()
    for number in range(100):
        schedule.add(("one", f"ns/{number}"))
    for _ in range(200):
        taken = schedule.get(0)
        assert taken is not None
        served[taken[0]] += 1
        assert abs(served["one"] - served["many"]) <= 1
        schedule.done(taken)


def test_namespaces_of_a_controller_take_turns() -> None:
    schedule: workqueue.Schedule[tuple[str, str]] = workqueue.Schedule(_groups)
    for number in range(100):
        schedule.add(("app", f"big/{number}"))
    schedule.add(("app", "small/1"))
    schedule.add(("app", "cluster-scoped"))
    assert {schedule.get(0) for _ in range(3)} == {("app", "big/0"), ("app", "small/1"), ("app", "cluster-scoped")}


def test_delays_that_are_over_before_their_time_take_no_memory() -> None:
    schedule: workqueue.Schedule[int] = workqueue.Schedule(lambda key: key)
    for round_ in range(100):
        for key in range(200):
            schedule.add_after(key, 3600.0 + key)
            if round_ < 99:
                schedule.add(key)
                schedule.get(0.0)
                schedule.done(key)
        assert len(schedule._heap) <= 2 * schedule.delayed + workqueue.MAX_DEAD_ENTRIES
    assert [schedule.get(3600.0 + key) for key in range(200)] == list(range(200))
    assert (schedule.next_due(), schedule.delayed) == (None, 0)


def _groups(key: tuple[str, str]) -> tuple[str, str]:
    """Groups within groups: controllers, and namespaces in them."""
    return key[0], key[1].rpartition("/")[0]


def queue(clock: list[float]) -> workqueue.WorkQueue[str]:
    def backoff(failures: int, *, slow: bool) -> float:
        return (10.0 if slow else 1.0) * failures

    return workqueue.WorkQueue(lambda key: key, clock=lambda: clock[0], backoff=backoff)


async def test_a_held_key_blocks_no_other_and_comes_again_after_it_was_let_go() -> None:
    made = queue([0.0])
    made.add("a")
    assert await made.get() == "a"
    made.add("a")
    made.add("b")
    assert await made.get() == "b"
    taking = asyncio.create_task(made.get())
    await asyncio.sleep(0)
    assert not taking.done()
    made.done("a", interfaces.Outcome.done())
    assert await taking == "a"


async def test_failures_in_a_row_wait_longer_and_a_success_forgets_them() -> None:
    clock = [0.0]
    made = queue(clock)
    for expected in (1.0, 2.0, 3.0):
        made.add("a")
        await made.get()
        made.done("a", interfaces.Outcome.again())
        assert made._schedule.next_due() == clock[0] + expected
    clock[0] = 100.0
    assert await made.get() == "a"
    made.done("a", interfaces.Outcome.done())
    made.add("a")
    await made.get()
    made.done("a", interfaces.Outcome.again())
    assert made._schedule.next_due() == 101.0
    made.add("a")
    await made.get()
    made.done("a", interfaces.Outcome.again(7))
    assert made._schedule.next_due() == 107.0


async def test_failures_of_two_kinds_are_counted_apart_so_that_both_grow_when_they_take_turns() -> None:
    clock = [0.0]
    made = queue(clock)
    for slow, expected in ((False, 1.0), (False, 2.0), (True, 10.0), (True, 20.0), (False, 3.0)):
        made.add("a")
        await made.get()
        made.done("a", interfaces.Outcome.again(slow=slow))
        assert made._schedule.next_due() == expected


async def test_a_delayed_key_comes_by_itself() -> None:
    made: workqueue.WorkQueue[str] = workqueue.WorkQueue(lambda key: key)
    made.add("a")
    await made.get()
    made.done("a", interfaces.Outcome.again(0.02))
    started = time.monotonic()
    assert await made.get() == "a"
    assert time.monotonic() - started > 0.01


async def test_join_waits_for_a_key_whose_time_came_when_nothing_else_was_ready() -> None:
    clock = [0.0]
    made = queue(clock)
    made.add("a")
    await made.get()
    made.done("a", interfaces.Outcome.again(5))
    await made.join()
    clock[0] = 6.0
    assert await made.get() == "a"
    joining = asyncio.create_task(made.join())
    await asyncio.sleep(0)
    assert not joining.done()
    made.done("a", interfaces.Outcome.done())
    await joining


async def test_a_delay_has_a_longest_that_it_may_be() -> None:
    made = queue([0.0])
    made.add("a")
    await made.get()
    made.done("a", interfaces.Outcome(retry=True, slow=True, at_most=3.0))
    assert made._schedule.next_due() == 3.0


async def test_join_waits_for_ready_and_held_keys_only() -> None:
    made = queue([0.0])
    made.add("a")
    joining = asyncio.create_task(made.join())
    await made.get()
    await asyncio.sleep(0)
    assert not joining.done()
    made.done("a", interfaces.Outcome.again(1000))
    await joining
    assert made.depth == 0


@pytest.mark.parametrize("how", ["now", "later", "again"])
async def test_a_key_wakes_one_of_those_who_wait(how: str) -> None:
    made: workqueue.WorkQueue[str] = workqueue.WorkQueue(lambda key: key)
    looks: list[float] = []
    get = made._schedule.get

    def counted(now: float) -> str | None:
        looks.append(now)
        return get(now)

    made._schedule.get = counted  # type: ignore[method-assign]
    if how != "now":
        made.add("key")
        assert await made.get() == "key"
    idle = [asyncio.create_task(made.get()) for _ in range(200)]
    await asyncio.sleep(0)
    looks.clear()
    if how == "now":
        made.add("key")
    else:
        made.done("key", interfaces.Outcome.again(0.02 if how == "later" else 0.0))
    done, _ = await asyncio.wait(idle, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(0.01)
    assert [task.result() for task in done] == ["key"]
    assert len(looks) <= 2
    for task in idle:
        task.cancel()
    await asyncio.wait(idle)


async def test_who_is_cancelled_when_woken_leaves_the_key_to_another() -> None:
    made: workqueue.WorkQueue[str] = workqueue.WorkQueue(lambda key: key)
    first, second = (asyncio.create_task(made.get()) for _ in range(2))
    await asyncio.sleep(0)
    made.add("key")
    first.cancel()
    async with asyncio.timeout(30):
        assert await second == "key"
    made.add("next")
    assert await made.get() == "next"


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("failures", [1, 2, 5, 100])
def test_the_back_off_grows_to_five_minutes_or_an_hour_with_jitter(failures: int, slow: bool) -> None:
    ceiling = min(3600.0, 2 * 2.0**failures) if slow else min(300.0, 0.2 * 2**failures)
    found = {workqueue.full_jitter(failures, slow=slow) for _ in range(50)}
    assert all(ceiling / 4 <= seconds <= ceiling for seconds in found)
    assert len(found) > 1
