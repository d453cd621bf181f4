"""The first look at a resource after a start: what an earlier process applied is found, though looking fails at first."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import errors, interfaces
from tests import fakes
from tests.chaos import actions as chaos_actions
from tests.chaos import proxy
from tests.contract import test_looking_after
from tests.controlplane import crds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import MakeCrd
    from tests.contract import test_appliers

apply = test_looking_after.apply
HINT = "applyset.kubernetes.io/contains-group-kinds"
SECRET = interfaces.Manifest({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}})
ITEM = fakes.config_map("a", {"v": "1"})


@pytest.fixture
def chaos(target: test_appliers.ClusterTarget, tmp_path: Path) -> Iterator[proxy.ChaosProxy]:
    plane = target.plane
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as made:
        yield made


async def applied_by_an_earlier_process(
    target: test_appliers.ClusterTarget, *items: interfaces.Manifest
) -> interfaces.Resource:
    owner = target.owner("web")
    async with target.applier() as applier:
        await apply(applier, owner, *items)
    return target.fresh(owner)


async def until_looked(applier: Any, owner: interfaces.Resource, *items: interfaces.Manifest) -> interfaces.Applied:
    """Apply until the watches have recovered, as the queue would do it."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(errors.ApiError):
                found: interfaces.Applied = await apply(applier, owner, *items)
                return found
            await asyncio.sleep(0.1)


def hinted(target: test_appliers.ClusterTarget, owner: interfaces.Resource) -> set[str]:
    return set(target.fresh(owner).metadata["annotations"][HINT].split(","))


async def delete_all(applier: Any, target: test_appliers.ClusterTarget, owner: interfaces.Resource) -> None:
    async with asyncio.timeout(30):
        while (await applier.delete(owner.key, target.fresh(owner))).objects:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("status", [401, 429, 500, 503])
async def test_a_first_look_that_failed_is_made_again(
    target: test_appliers.ClusterTarget, chaos: proxy.ChaosProxy, status: int
) -> None:
    owner = await applied_by_an_earlier_process(target, ITEM, SECRET)
    async with target.applier(kubeconfig=chaos.kubeconfig) as applier:
        with chaos.add(chaos_actions.Answer(status), method="GET", path="/secrets$"):
            with pytest.raises(errors.ApiError) as caught:
                await apply(applier, owner, ITEM)
            assert caught.value.retryable
        found = await until_looked(applier, owner, ITEM)
        assert [result.action for result in found.objects if result.ref.kind == "Secret"] == [interfaces.Action.PRUNED]
    assert not target.api.exists(target.path("s", "secrets"))


async def test_what_may_not_be_looked_at_is_kept_in_mind_and_applying_goes_on(
    target: test_appliers.ClusterTarget, chaos: proxy.ChaosProxy
) -> None:
    owner = await applied_by_an_earlier_process(target, ITEM, SECRET)
    claim = interfaces.Manifest({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "new"}})
    async with target.applier(kubeconfig=chaos.kubeconfig) as applier:
        with chaos.add(chaos_actions.Answer(403), method="GET", path="/secrets$"):
            await apply(applier, owner, fakes.config_map("a", {"v": "2"}), claim)
            assert target.data("a") == {"v": "2"}
            assert hinted(target, owner) == {"ConfigMap", "Secret", "ServiceAccount"}
            await apply(applier, target.fresh(owner), fakes.config_map("a", {"v": "2"}), claim)
        await apply(applier, target.fresh(owner), fakes.config_map("a", {"v": "2"}), claim)
    assert not target.api.exists(target.path("s", "secrets"))


@pytest.mark.parametrize("status", [403, 404, 503])
async def test_a_resource_is_not_released_while_its_objects_cannot_be_looked_for(
    target: test_appliers.ClusterTarget, chaos: proxy.ChaosProxy, status: int
) -> None:
    owner = await applied_by_an_earlier_process(target, ITEM, SECRET)
    where = target.crd.path(target.namespace, "web")
    target.api.delete(where)
    async with target.applier(kubeconfig=chaos.kubeconfig) as applier:
        with chaos.add(chaos_actions.Answer(status), method="GET", path="/secrets$"):
            for _ in range(3):
                with pytest.raises(errors.ApiError, match=r"Secret|chaos") as caught:
                    await applier.delete(owner.key, target.fresh(owner))
                assert caught.value.retryable
            assert target.fresh(owner).metadata["finalizers"] == ["lostromos.dev/cleanup"]
            assert target.api.exists(target.path("s", "secrets"))
        async with asyncio.timeout(60):
            while target.api.exists(where):
                with contextlib.suppress(errors.ApiError):  # the watch has not recovered yet
                    await delete_all(applier, target, owner)
                await asyncio.sleep(0.1)
    assert not target.api.exists(target.path("s", "secrets"))


def discovered(target: test_appliers.ClusterTarget, gadget: crds.CustomKind, *, stale: bool) -> str:
    """What the server lists, as if the server of the gadgets did not answer, or did not know them yet."""
    answer = target.api.get("/apis", accept=crds.AGGREGATED_DISCOVERY)
    others = [group for group in answer["items"] if group["metadata"]["name"] != gadget.group]
    down = {"metadata": {"name": gadget.group}, "versions": [{"version": gadget.version, "freshness": "Stale"}]}
    return json.dumps({**answer, "items": [*others, *([down] if stale else [])]})


@pytest.mark.parametrize("stale", [True, False])
async def test_a_kind_that_is_not_listed_may_still_have_objects(
    target: test_appliers.ClusterTarget, chaos: proxy.ChaosProxy, make_crd: MakeCrd, stale: bool
) -> None:
    gadget = make_crd("Gadget")
    item = interfaces.Manifest({"apiVersion": gadget.api_version, "kind": "Gadget", "metadata": {"name": "g"}})
    owner = await applied_by_an_earlier_process(target, ITEM, item)
    body = discovered(target, gadget, stale=stale)
    rule = chaos_actions.Answer(200, body=body, headers={"content-type": crds.AGGREGATED_DISCOVERY})
    async with target.applier(kubeconfig=chaos.kubeconfig) as applier:
        with chaos.add(rule, path="^/apis$"):
            if stale:
                with pytest.raises(errors.ApiError, match="is not available"):
                    await apply(applier, owner, ITEM)
            else:
                await apply(applier, owner, ITEM)
                assert f"Gadget.{gadget.group}" in hinted(target, owner)
            target.api.delete(target.crd.path(target.namespace, "web"))
            with pytest.raises(errors.ApiError) as caught:
                await applier.delete(owner.key, target.fresh(owner))
            assert caught.value.retryable
            assert target.api.exists(gadget.path(target.namespace, "g"))
    async with target.applier() as applier:
        await delete_all(applier, target, owner)
    assert not target.api.exists(gadget.path(target.namespace, "g"))


async def test_a_kind_that_was_removed_has_no_objects(target: test_appliers.ClusterTarget, make_crd: MakeCrd) -> None:
    gadget = make_crd("Gadget")
    item = interfaces.Manifest({"apiVersion": gadget.api_version, "kind": "Gadget", "metadata": {"name": "g"}})
    owner = await applied_by_an_earlier_process(target, ITEM, item)
    target.api.delete(f"{crds.DEFINITIONS}/{gadget.definition_name}")
    target.api.delete(target.crd.path(target.namespace, "web"))
    async with target.applier() as applier, asyncio.timeout(40):
        while target.api.exists(target.crd.path(target.namespace, "web")):
            with contextlib.suppress(errors.ApiError):  # the definition goes in steps of several seconds
                await delete_all(applier, target, owner)
            await asyncio.sleep(0.5)
    assert not target.api.exists(target.crd.path(target.namespace, "web"))


@pytest.mark.parametrize("how", ["prune", "delete"])
async def test_an_object_that_a_starting_server_does_not_find_is_not_forgotten(
    target: test_appliers.ClusterTarget, chaos: proxy.ChaosProxy, make_crd: MakeCrd, how: str
) -> None:
    """It answers 404 to everything about a custom kind; its watch says otherwise."""
    gadget = make_crd("Gadget")
    item = interfaces.Manifest({"apiVersion": gadget.api_version, "kind": "Gadget", "metadata": {"name": "g"}})
    owner = target.owner("web")
    rung: list[str] = []
    async with target.applier(kubeconfig=chaos.kubeconfig, enqueue=rung.append) as applier:
        await apply(applier, owner, ITEM, item)
        await asyncio.sleep(0.3)
        with chaos.add(chaos_actions.Answer(404), path="/gadgets/g$"):
            if how == "prune":
                await apply(applier, target.fresh(owner), ITEM)
            else:
                target.api.delete(target.crd.path(target.namespace, "web"))
                assert (await applier.delete(owner.key, target.fresh(owner))).remaining == 1
        assert target.api.exists(gadget.path(target.namespace, "g"))
        if how == "prune":
            rung.clear()
            async with asyncio.timeout(40):
                while not rung:
                    await asyncio.sleep(0.1)
            await apply(applier, target.fresh(owner), ITEM)
        else:
            await delete_all(applier, target, owner)
    assert not target.api.exists(gadget.path(target.namespace, "g"))


async def test_an_object_that_is_not_found_for_a_moment_is_looked_for_again(
    target: test_appliers.ClusterTarget, chaos: proxy.ChaosProxy
) -> None:
    owner = await applied_by_an_earlier_process(target, ITEM, test_looking_after.deployment("d", replicas=0))
    async with target.applier(kubeconfig=chaos.kubeconfig, wait=True) as applier:
        with chaos.add(chaos_actions.Answer(404), method="GET", path="/deployments/d$"):
            found = await apply(applier, owner, ITEM, test_looking_after.deployment("d", replicas=0))
        assert [result.after for result in found.waiting] == [10.0]
