"""The first look at all resources is bounded by progress: over when each was reconciled once, however that went."""

from __future__ import annotations

import asyncio

from lostromos_core import firstlook, interfaces, plugins
from lostromos_core.engine import controller
from lostromos_core.engine import operator as operators
from lostromos_core.kube.transport import client
from tests import fakes


def test_it_is_over_when_all_have_been_reconciled() -> None:
    look, told = firstlook.FirstLook(), list[str]()
    look.when_over(lambda: told.append("over"))
    for key in "abc":
        look.found(key)
    look.reconciled("a", settled=True)
    look.synced()
    assert look.waits_for_others("b")
    look.found("late")
    look.reconciled("b", settled=False)
    assert not look.waits_for_others("c")
    assert not look.over
    look.reconciled("c", settled=True)
    assert (look.over, look.complete, told) == (True, False, ["over"])
    look.reconciled("b", settled=False)
    look.reconciled("other", settled=False)
    assert not look.complete
    look.reconciled("b", settled=True)
    assert (look.complete, told) == (True, ["over"])


def test_nothing_is_known_before_the_watcher_has_found_all() -> None:
    look = firstlook.FirstLook()
    look.found("a")
    assert look.waits_for_others("a")
    look.reconciled("a", settled=True)
    assert not look.over
    look.synced()
    assert look.complete


def test_without_a_watcher_there_is_nothing_to_wait_for() -> None:
    assert firstlook.FirstLook.ended().complete
    assert not interfaces.Runtime("app", None).first_look.waits_for_others("a")


async def test_an_operator_tells_when_all_have_been_looked_at_also_those_that_fail_or_are_paused() -> None:
    watcher, seen = fakes.FakeWatcher(), list[tuple[bool, bool]]()

    class Applier(fakes.FakeApplier):
        async def start(self, runtime: interfaces.Runtime) -> None:
            self.look = runtime.first_look
            self.look.when_over(lambda: runtime.enqueue("ns/web"))

        async def apply(self, owner: interfaces.Resource, rendered: interfaces.Rendered) -> interfaces.Applied:
            if owner.ref.name == "bad":
                raise fakes.TERMINAL
            if owner.ref.name == "web":
                seen.append((self.look.over, self.look.complete))
            return await super().apply(owner, rendered)

    paused = fakes.resource("paused")
    paused.data["metadata"]["annotations"] = {"lostromos.dev/pause": "true"}
    for item in (fakes.resource("web"), fakes.resource("bad"), paused):
        watcher.put(item)
    one = controller.Controller("app", watch=watcher, render=fakes.FakeRenderer(), apply=Applier())
    operator = operators.Operator([one], kube=client.Client("/nowhere"), registry=plugins.load(), workers=1)
    async with asyncio.timeout(60):
        await operator.once()
    assert seen == [(False, False), (True, False)]
