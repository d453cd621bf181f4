"""Watches of children: one for all who need it, and none for longer than it is needed, if it was lent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import errors, interfaces
from lostromos_core.kube import cluster as clusters
from lostromos_core.kube import labels
from lostromos_core.kube.tracking import children
from lostromos_core.kube.transport import client
from tests.chaos import actions, proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.controlplane import api as apis
    from tests.controlplane import cluster

LINGER = 0.5
OWNER = interfaces.ObjectRef("example.com/v1", "Web", "ns", "web")


class World:
    """A connection through a proxy, whose lent watches end soon."""

    def __init__(self, kube: clusters.Cluster, chaos: proxy.ChaosProxy, api: apis.Api, namespace: str) -> None:
        self.kube, self.chaos, self.api, self.namespace = kube, chaos, api, namespace
        self.children = children.Children(kube, linger=LINGER)
        self.collection = f"/api/v1/namespaces/{namespace}/configmaps"

    def create(self, name: str) -> None:
        owner = labels.owner_value(interfaces.Resource("ns/web", OWNER, "u", {}))
        metadata = {
            "name": name,
            "labels": {labels.PART_OF: labels.set_id(OWNER)},
            "annotations": {labels.OWNER: owner},
        }
        self.api.create(self.collection, {"metadata": metadata})

    def watches(self) -> list[bool]:
        """Whether each watch that was begun is still going on."""
        return [one.ended is None for one in self.chaos.requests if one.path == self.collection]

    async def kind(self, name: str = "ConfigMap") -> Any:
        return await self.kube.discovery.kind("v1", name)


@pytest.fixture
async def world(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, namespace: str
) -> AsyncIterator[World]:
    plane = control_plane
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as chaos:
        async with clusters.Cluster(client.Client(str(chaos.kubeconfig))) as kube:
            yield World(kube, chaos, api, namespace)


async def until(predicate: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not predicate():
            await asyncio.sleep(0.02)


async def test_a_lent_watch_is_one_for_all_and_ends_when_it_is_of_no_use(world: World) -> None:
    kind = await world.kind()
    assert all(await asyncio.gather(*(world.children.borrow(kind, world.namespace) for _ in range(50))))
    assert world.watches() == [True]
    assert world.children.covers(kind, world.namespace)
    await until(lambda: world.watches() == [False])
    assert not world.children.covers(kind, world.namespace)
    assert await world.children.borrow(kind, world.namespace)
    assert world.watches() == [False, True]


async def test_a_lent_watch_goes_on_while_it_knows_an_object(world: World) -> None:
    world.create("x")
    kind = await world.kind()
    await world.children.borrow(kind, world.namespace)
    (child,) = world.children.of(OWNER)
    assert world.children.is_live(child)
    await asyncio.sleep(4 * LINGER)
    assert world.watches() == [True]
    world.api.delete(f"{world.collection}/x")
    await until(lambda: world.watches() == [False])
    assert not world.children.is_live(child)


async def test_a_watch_that_is_needed_is_not_ended_though_it_was_lent_first(world: World) -> None:
    kind = await world.kind()
    await world.children.borrow(kind, world.namespace)
    await world.children.ensure(kind, world.namespace)
    await asyncio.sleep(4 * LINGER)
    assert world.watches() == [True]
    assert world.children._lent == 0


async def test_what_cannot_be_watched_is_said_and_given_up(world: World) -> None:
    kind = await world.kind()
    with world.chaos.add(actions.Answer(403), path=world.collection):
        for _ in range(20):
            with pytest.raises(errors.ApiError, match="give the operator the verbs list and watch"):
                await world.children.borrow(kind, world.namespace)
        await asyncio.sleep(3 * LINGER)
        begun = len(world.watches())
        await asyncio.sleep(2)
        assert len(world.watches()) == begun < 5
    assert await world.children.borrow(kind, world.namespace)


async def test_only_so_many_are_lent_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "MOST_LENT", 2)
    kinds = [await world.kind(name) for name in ("ConfigMap", "Secret", "Service")]
    assert [await world.children.borrow(kind, world.namespace) for kind in kinds] == [True, True, False]
    await world.children.ensure(kinds[2], world.namespace)
    assert await world.children.borrow(kinds[2], world.namespace)
    await until(lambda: world.watches() == [False])
    await until(lambda: world.children._lent == 0)
    assert await world.children.borrow(kinds[1], world.namespace)


async def test_an_object_is_not_known_for_certain_while_its_watch_is_in_trouble(world: World) -> None:
    world.create("x")
    kind = await world.kind()
    await world.children.ensure(kind, world.namespace)
    (child,) = world.children.of(OWNER)
    with world.chaos.add(actions.Answer(500), path=world.collection):
        world.chaos.close_connections()
        await until(lambda: not world.children.is_live(child))
    world.create("y")
    await until(lambda: world.children.is_live(child))
