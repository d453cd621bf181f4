"""An aggregated API that does not answer takes nothing away: what it serves is held until it can be looked for."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING

import pytest

from lostromos_core import errors, interfaces
from lostromos_core.kube import cluster as clusters
from lostromos_core.kube.ownership import cleanup
from lostromos_core.kube.transport import client
from tests import aggregated, fakes
from tests.chaos import actions as chaos_actions
from tests.chaos import proxy
from tests.controlplane import crds as crds_

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeCrd
    from tests.contract import test_appliers

ITEM = fakes.config_map("a", {"v": "1"})


def gizmo(kind: crds_.CustomKind, name: str) -> interfaces.Manifest:
    return interfaces.Manifest({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}})


async def refused(applier: interfaces.Applier, target: test_appliers.ClusterTarget, owner: interfaces.Resource) -> None:
    """Look at a deletion some times: the resource is held, and it is said why."""
    for _ in range(3):
        try:
            found = await applier.delete(owner.key, target.fresh(owner))
        except errors.ApiError as error:
            assert error.retryable  # noqa: PT017 - one of two ways to say it
        else:
            assert found.objects
            assert all(result.retryable or result.action is interfaces.Action.WAITING for result in found.objects)
        assert target.fresh(owner).metadata["finalizers"] == ["lostromos.dev/cleanup"]
        await asyncio.sleep(0.3)


async def gone(applier: interfaces.Applier, target: test_appliers.ClusterTarget, owner: interfaces.Resource) -> None:
    async with asyncio.timeout(90):
        while target.api.exists(target.crd.path(target.namespace, owner.ref.name)):
            with contextlib.suppress(errors.ApiError):
                await applier.delete(owner.key, target.fresh(owner))
            await asyncio.sleep(0.3)


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("target", "namespaced"), [("server-side", True), ("kubectl", False)], indirect=["target"])
async def test_objects_of_an_api_that_is_down_are_held_and_found(
    target: test_appliers.ClusterTarget, make_crd: MakeCrd, tmp_path: Path, namespaced: bool
) -> None:
    """While the operator runs, after a restart, after the definition was looked for, and where it is not listed."""
    stored = make_crd("Gizmo", namespaced=namespaced)
    names = ["running", "restarted", "unlisted"]
    owners = {name: target.owner(name) for name in names}
    objects = {name: f"{target.namespace}-{name}" for name in names}
    place = target.namespace if namespaced else None

    def there() -> set[str]:
        return {name for name in names if target.api.exists(stored.path(place, objects[name]))}

    with aggregated.Aggregated(target.api, target.plane, tmp_path, stored) as server:
        async with target.applier() as applier:
            for name in names:
                found = await applier.apply(
                    owners[name], fakes.manifests(kept(name), gizmo(server.kind, objects[name]))
                )
                assert not found.failed, [result.message for result in found.failed]
            await asyncio.to_thread(server.down)
            await asyncio.to_thread(server.wait, available=False)
            for name in names:
                target.api.delete(target.crd.path(target.namespace, name))
            await refused(applier, target, owners["running"])
        async with target.applier() as applier:
            await refused(applier, target, owners["restarted"])
        await not_listed(target, tmp_path, server.kind, owners["unlisted"])
        assert there() == set(names)
        await asyncio.to_thread(server.up)
        await asyncio.to_thread(server.wait, available=True)
        async with target.applier() as applier:
            for owner in owners.values():
                await gone(applier, target, owner)
    assert there() == set()


def kept(name: str) -> interfaces.Manifest:
    return fakes.config_map(f"{name}-kept", {})


async def not_listed(
    target: test_appliers.ClusterTarget, folder: Path, kind: crds_.CustomKind, owner: interfaces.Resource
) -> None:
    """An API server that has just started has not asked the aggregated one yet, and lists nothing of it."""
    plane = target.plane
    answer = target.api.get("/apis", accept=crds_.AGGREGATED_DISCOVERY)
    others = [group for group in answer["items"] if group["metadata"]["name"] != kind.group]
    body = json.dumps({**answer, "items": others})
    rule = chaos_actions.Answer(200, body=body, headers={"content-type": crds_.AGGREGATED_DISCOVERY})
    place = folder / "chaos"
    place.mkdir()
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=place) as chaos:
        async with target.applier(kubeconfig=chaos.kubeconfig) as applier:
            with chaos.add(rule, path="^/apis$"):
                await refused(applier, target, owner)
                async with clusters.Cluster(client.Client(str(chaos.kubeconfig))) as kube:
                    claimed = cleanup.Claimed(owner.ref, owner.uid, "", "", target.fresh(owner).metadata)
                    with pytest.raises(errors.ApiError, match="but may have objects of it"):
                        await cleanup.objects_of(kube, claimed)


@pytest.mark.parametrize("target", ["server-side"], indirect=True)
async def test_an_api_that_is_removed_holds_nobody(
    target: test_appliers.ClusterTarget, make_crd: MakeCrd, tmp_path: Path
) -> None:
    stored = make_crd("Gizmo")
    owner = target.owner("web")
    with aggregated.Aggregated(target.api, target.plane, tmp_path, stored) as server:
        async with target.applier() as applier:
            await applier.apply(owner, fakes.manifests(ITEM, gizmo(server.kind, "g")))
        target.api.delete(server.service)
        target.api.delete(target.crd.path(target.namespace, "web"))
        async with target.applier() as applier:
            await gone(applier, target, owner)
    assert target.data("a") is None
