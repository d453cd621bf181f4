"""Whose releases are: nobody touches those of others, and what an owner left that is gone for good is removed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from lostromos_core import interfaces
from lostromos_helm import applier as appliers
from tests import fakes
from tests.controlplane import waiting
from tests.helm import targets

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeCrd
    from tests.controlplane import api as apis
    from tests.controlplane import cluster

ITEM = fakes.manifests(fakes.config_map("made", {"v": "1"}))


@pytest.fixture
def kinds(
    helm: Path, control_plane: cluster.ControlPlane, api: apis.Api, make_crd: MakeCrd, namespace: str
) -> list[targets.HelmTarget]:
    """Two kinds, each looked after by an operator of its own; both have a controller of the same name."""
    return [targets.HelmTarget(helm, control_plane, api, make_crd(kind), namespace) for kind in ("Shop", "Blog")]


async def test_a_controller_of_the_same_name_leaves_releases_of_another_kind_alone(
    kinds: list[targets.HelmTarget], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appliers, "SWEEP", 0.5)
    shops, blogs = kinds
    shop, blog, other = shops.owner("web"), blogs.owner("web"), blogs.owner("other")
    rung: list[str] = []
    async with shops.applier() as applier:
        await applier.apply(shop, ITEM)
    async with blogs.applier(enqueue=rung.append) as applier:
        await applier.apply(other, fakes.manifests(fakes.config_map("other", {})))
        await asyncio.sleep(1)
        assert shop.key not in rung
        refused = await applier.apply(blog, ITEM)
        assert "belongs to another resource" in refused.objects[0].message
        for owner in (blogs.fresh(blog), None):
            gone = await applier.delete(shop.key, owner)
            assert (gone.remaining, gone.failed) == (0, ())
    async with blogs.applier() as applier:
        assert not (await applier.delete(shop.key, None)).objects
    assert shops.data("made") == {"v": "1"}


async def test_a_release_is_adopted_only_when_its_owner_is_gone(kinds: list[targets.HelmTarget]) -> None:
    shops, blogs = kinds
    shop, blog = shops.owner("web"), blogs.owner("web")
    where = shops.crd.path(shops.namespace, "web")
    async with shops.applier(adopt=True) as first, blogs.applier(adopt=True) as second:
        await first.apply(shop, ITEM)
        for _ in range(2):
            refused = await second.apply(blogs.fresh(blog), ITEM)
            assert "belongs to another resource" in refused.objects[0].message
        assert (await first.apply(shops.fresh(shop), ITEM)).objects[0].action is interfaces.Action.UNCHANGED
        shops.api.patch(where, {"metadata": {"finalizers": None}})
        shops.api.delete(where)
        waiting.wait_until(lambda: not shops.api.exists(where))
        assert not (await second.apply(blogs.fresh(blog), ITEM)).failed
        assert not (await first.delete(shop.key, None)).objects
    assert shops.data("made") == {"v": "1"}


async def test_what_another_controller_looks_after_is_not_touched(kinds: list[targets.HelmTarget]) -> None:
    target, _ = kinds
    owner = target.owner("web")
    where = target.crd.path(target.namespace, "web")
    async with target.applier() as applier:
        await applier.apply(owner, ITEM)
        target.api.patch(where, {"metadata": {"annotations": {"lostromos.dev/controller": "elsewhere"}}})
        target.api.delete(where)
        gone = await applier.delete(owner.key, target.fresh(owner))
        assert (gone.objects, gone.remaining) == ((), 0)
    assert target.data("made") == {"v": "1"}
    assert target.fresh(owner).metadata["finalizers"] == ["lostromos.dev/cleanup"]


async def test_a_release_stays_while_the_cluster_has_its_owner_and_goes_when_it_is_gone(
    kinds: list[targets.HelmTarget], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appliers, "SWEEP", 0.1)
    target, _ = kinds
    owner = target.owner("web")
    where = target.crd.path(target.namespace, "web")
    async with target.applier() as applier:
        await applier.apply(owner, ITEM)
    rung: list[str] = []
    async with target.applier(enqueue=rung.append) as applier:
        async with asyncio.timeout(60):
            while owner.key not in rung:
                await asyncio.sleep(0.02)
        await applier.delete(owner.key, None)
        assert target.data("made") == {"v": "1"}
        target.api.patch(where, {"metadata": {"finalizers": None}})
        target.api.delete(where)
        waiting.wait_until(lambda: not target.api.exists(where))
        await applier.delete(owner.key, None)
    waiting.wait_until(lambda: target.data("made") is None)
