"""The limiter: first come, first served; nobody begins while the server wants a pause; no place is lost."""

from __future__ import annotations

import asyncio
import random

from lostromos_core.kube.transport import limiter


class Crowd:
    """Tasks that hold the limiter until they are told to go, in the order in which they got in."""

    def __init__(self, *, places: int) -> None:
        self.now = 0.0
        self.limiter = limiter.Limiter(lambda: self.now)
        while self.limiter.limit > places:
            self.limiter.overloaded()
        self.inside: list[str] = []
        self.came: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._go: dict[str, asyncio.Event] = {}

    def come(self, *names: str) -> None:
        for name in names:
            self._go[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._hold(name))

    async def _hold(self, name: str) -> None:
        async with self.limiter:
            self.inside.append(name)
            self.came.append(name)
            try:
                await self._go[name].wait()
            finally:
                self.inside.remove(name)

    def leave(self, name: str) -> None:
        self._go[name].set()


async def settle(seconds: float = 0) -> None:
    for _ in range(10):
        await asyncio.sleep(seconds / 10)


async def test_who_waits_during_a_pause_begins_after_it_and_not_when_a_place_is_free() -> None:
    crowd = Crowd(places=1)
    crowd.come("first", "second", "third")
    await settle()
    crowd.limiter.overloaded(0.02)
    crowd.leave("first")
    await settle(0.05)
    assert crowd.inside == []
    crowd.limiter.overloaded(0.04)
    crowd.now = 0.03
    await settle(0.05)
    assert crowd.inside == [], "the longer pause counts"
    crowd.now = 0.05
    await settle(0.05)
    assert crowd.inside == ["second"]
    crowd.leave("second")
    await settle()
    assert crowd.inside == ["third"]
    crowd.leave("third")
    await asyncio.gather(*crowd.tasks.values())


async def test_who_was_woken_when_the_pause_began_waits_as_well() -> None:
    crowd = Crowd(places=1)
    crowd.come("first", "second", "third")
    await settle()
    crowd.leave("first")
    await asyncio.sleep(0)  # the first has left, and has woken the second
    crowd.limiter.overloaded(0.02)
    await settle(0.05)
    assert crowd.inside == []
    crowd.tasks["second"].cancel()
    crowd.now = 1.0
    await settle(0.05)
    assert crowd.inside == ["third"], "a place is not lost with a task that is cancelled"
    crowd.leave("third")
    await asyncio.gather(*crowd.tasks.values(), return_exceptions=True)


async def test_a_newcomer_does_not_take_the_place_of_who_waited() -> None:
    crowd = Crowd(places=1)
    crowd.come("first", "second")
    await settle()
    crowd.leave("first")
    crowd.come("newcomer")  # runs after the first has left, and before the second that it wakes
    crowd._go["second"].set()
    crowd._go["newcomer"].set()
    await asyncio.gather(*crowd.tasks.values())
    assert crowd.came == ["first", "second", "newcomer"]


async def test_whatever_is_cancelled_all_others_get_in_and_never_too_many() -> None:
    dice = random.Random(7)
    for _ in range(50):
        made, inside, served = limiter.Limiter(asyncio.get_running_loop().time), 0, 0

        async def hold(made: limiter.Limiter = made) -> None:
            nonlocal inside, served
            async with made:
                inside += 1
                assert inside <= 8
                try:
                    await asyncio.sleep(0)
                finally:
                    inside -= 1
            served += 1

        tasks = [asyncio.create_task(hold()) for _ in range(30)]
        for task in dice.sample(tasks, 10):
            for _ in range(dice.randrange(3)):
                await asyncio.sleep(0)
            task.cancel()
        async with asyncio.timeout(30):
            done = await asyncio.gather(*tasks, return_exceptions=True)
        assert served == sum(found is None for found in done)
        assert (inside, made._held) == (0, 0)
