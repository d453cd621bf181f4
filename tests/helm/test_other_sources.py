"""Releases for resources that are no Kubernetes objects: remembered in ConfigMaps, found again when their source is gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import errors, interfaces
from lostromos_helm import applier as appliers
from tests import fakes
from tests.controlplane import waiting
from tests.helm import targets

if TYPE_CHECKING:
    from pathlib import Path

    from tests.controlplane import api as apis
    from tests.controlplane import cluster, crds


@pytest.fixture
def target(
    helm: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> targets.HelmTarget:
    return targets.HelmTarget(helm, control_plane, api, crd, namespace)


def site(key: str) -> interfaces.Resource:
    ref = interfaces.ObjectRef("sites.example.com/v1", "Site", "", key)
    return interfaces.Resource(key, ref, "", {"metadata": {"name": key}, "spec": {}})


def options(target: targets.HelmTarget) -> dict[str, Any]:
    return {"namespace": target.namespace, "inventory_namespace": target.namespace}


@pytest.mark.parametrize("key", ["shop", "Shop of Anna/Öl & more", "x" * 200])
async def test_a_release_for_any_key_is_made_once_and_removed_by_another_process(
    target: targets.HelmTarget, key: str
) -> None:
    item = fakes.manifests(fakes.config_map("made", {"v": "1"}))
    async with target.applier(**options(target)) as applier:
        found = await applier.apply(site(key), item)
        assert [one.action for one in found.objects] == [interfaces.Action.CREATED]
        assert target.data("made") == {"v": "1"}
    async with target.applier(**options(target)) as applier:
        found = await applier.apply(site(key), item)
        assert [one.action for one in found.objects] == [interfaces.Action.UNCHANGED]
        assert await applier.inner._inventory.remembered() == [key]
        gone = await applier.delete(key, None)
        assert (gone.remaining, gone.failed) == (0, ())
        assert await applier.inner._inventory.remembered() == []
    assert target.data("made") is None


async def test_a_site_that_vanished_while_nobody_watched_is_rung_for(
    target: targets.HelmTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appliers, "SWEEP", 0.1)
    item = fakes.manifests(fakes.config_map("made", {"v": "1"}))
    async with target.applier(**options(target)) as applier:
        await applier.apply(site("gone"), item)
    rung: list[str] = []
    async with target.applier(enqueue=rung.append, **options(target)) as applier:
        await applier.inner._releases.ready(target.namespace)
        async with asyncio.timeout(60):
            while "gone" not in rung:
                await asyncio.sleep(0.02)
        await applier.delete("gone", None)
    waiting.wait_until(lambda: target.data("made") is None)


async def test_a_resource_without_a_namespace_needs_one_for_its_release(target: targets.HelmTarget) -> None:
    async with target.applier(inventory_namespace=target.namespace) as applier:
        with pytest.raises(errors.RefusedError, match="set the applier's `namespace`"):
            await applier.apply(site("shop"), fakes.manifests(fakes.config_map("made", {"v": "1"})))
