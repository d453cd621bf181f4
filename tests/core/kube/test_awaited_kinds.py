"""Lookups of a kind that the cluster does not have: one looks for it, and all who wait are told when it is there."""

from __future__ import annotations

import asyncio
import collections
import types
from typing import TYPE_CHECKING, Any

from lostromos_core import errors, interfaces
from lostromos_core.kube.kinds import discovery
from lostromos_core.kube.lookup import lookups
from tests import fakes

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

REF = interfaces.ObjectRef("example.com/v1", "Db", "ns", "db")


class Cluster:
    """A connection whose cluster has the kind when it is said to; ``asked`` counts the questions."""

    def __init__(self) -> None:
        self.served = False
        self.asked = 0
        self.tasks: list[asyncio.Task[None]] = []
        self.discovery = types.SimpleNamespace(
            kind=self.kind, known=lambda *_: None, is_absent=lambda *_: self.asked > 0
        )

    async def kind(self, api_version: str, kind: str) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if not self.served:
            raise discovery.NoSuchKindError(api_version, kind)

    def shared(self, make: Callable[[Any], Any]) -> Any:
        return make(self)

    def background(self, run: Callable[[], Any], *, name: str) -> None:
        self.tasks.append(asyncio.create_task(run(), name=name))


async def test_one_looks_for_a_missing_kind_for_all_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "NO_SUCH_KIND", 0.01)
    cluster, rung = Cluster(), collections.Counter[str]()
    runtime = interfaces.Runtime("app", cluster, lambda key: rung.update([key]))
    made = lookups.Lookups(runtime, lookups.Policy())

    def render(find: Callable[[interfaces.ObjectRef], Any]) -> interfaces.Manifests:
        try:
            waits = "" if find(REF) else f"{REF} is not there"
        except errors.NotYetError as error:
            waits = error.message
        return interfaces.Manifests((interfaces.Unit("a.yaml", waiting=waits),), frozenset({REF}))

    for number in range(50):
        await made.render(fakes.resource(f"web{number}"), render)
    made.forget("ns/web7")
    await asyncio.sleep(0.1)
    assert len(cluster.tasks) == 1
    assert cluster.asked < 15, "one question for all, and one for each look"
    assert rung == {}
    cluster.served = True
    async with asyncio.timeout(30):
        await cluster.tasks[0]
    assert rung == {f"ns/web{number}": 1 for number in range(50) if number != 7}


async def test_nobody_looks_for_what_nobody_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "NO_SUCH_KIND", 0.01)
    cluster, rung = Cluster(), list[str]()
    made = lookups.Lookups(interfaces.Runtime("app", cluster, rung.append), lookups.Policy())
    await made._load("ns/web", REF)
    made.forget("ns/web")
    async with asyncio.timeout(30):
        await cluster.tasks[0]
    assert (rung, made._awaited) == ([], {})
