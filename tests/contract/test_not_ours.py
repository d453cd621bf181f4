"""What belongs to others, or may do so, is left alone; what tenants can write leads nowhere. Both appliers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import errors, interfaces
from lostromos_core.kube import labels
from tests import fakes
from tests.chaos import proxy
from tests.contract import test_looking_after
from tests.controlplane import waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract import test_appliers

Action = interfaces.Action
actions, apply, settled = test_looking_after.actions, test_looking_after.apply, test_looking_after.settled
data_of, deployment = test_looking_after.data_of, test_looking_after.deployment


async def test_what_is_only_created_is_not_written_again_when_its_label_is_lost(
    target: test_appliers.ClusterTarget,
) -> None:
    owner = target.owner("web")
    item = fakes.config_map("a", {"v": "first"}, annotations={"lostromos.dev/create-only": "true"})
    async with target.applier() as applier:
        await apply(applier, owner, item)
        target.api.patch(target.path("a"), {"data": {"v": "rotated"}})
        target.api.patch(target.path("a"), {"metadata": {"labels": None}})
        await asyncio.sleep(0.3)
        for _ in range(3):
            await apply(applier, target.fresh(owner), item)
        assert target.data("a") == {"v": "rotated"}
        assert "applyset.kubernetes.io/part-of" in target.api.get(target.path("a"))["metadata"]["labels"]
        await asyncio.sleep(0.3)
        assert await settled(applier, target.fresh(owner), item)


async def test_nothing_is_deleted_to_be_recreated_as_something_invalid(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")
    note = {"lostromos.dev/recreate": "true"}
    where = target.path("d", "deployments", "/apis/apps/v1")

    def item(app: str, replicas: int) -> interfaces.Manifest:
        made = deployment("d", replicas=replicas)
        spec = {**made.data["spec"], "selector": {"matchLabels": {"app": app}}}
        spec["template"] = {**spec["template"], "metadata": {"labels": {"app": app}}}
        return interfaces.Manifest({**made.data, "metadata": {"name": "d", "annotations": note}, "spec": spec})

    async with target.applier() as applier:
        await apply(applier, owner, item("one", 0))
        uid = target.api.get(where)["metadata"]["uid"]
        found = await apply(applier, target.fresh(owner), item("two", -1))
        assert actions(found) == {"d": Action.FAILED}
        assert target.api.get(where)["metadata"]["uid"] == uid
        for _ in range(50):
            await apply(applier, target.fresh(owner), item("two", 0))
            if target.api.exists(where) and target.api.get(where)["metadata"]["uid"] != uid:
                break
            await asyncio.sleep(0.1)
        assert target.api.get(where)["spec"]["selector"] == {"matchLabels": {"app": "two"}}


async def test_an_object_of_another_resource_is_adopted_by_nobody(target: test_appliers.ClusterTarget) -> None:
    first, second = target.owner("first"), target.owner("second")
    note = {"lostromos.dev/adopt": "true"}
    async with target.applier() as applier:
        await apply(applier, first, fakes.config_map("shared", {"v": "1"}, annotations=note))
        found = await apply(applier, second, fakes.config_map("shared", {"v": "2"}, annotations=note))
        assert actions(found) == {"shared": Action.FAILED}
        assert "belongs to WebApp" in found.objects[0].message
        assert "first" in found.objects[0].message
        assert target.data("shared") == {"v": "1"}
        target.api.delete(target.crd.path(target.namespace, "first"))
        while (await applier.delete(first.key, target.fresh(first))).objects:
            await asyncio.sleep(0.05)
        await apply(applier, target.fresh(second), fakes.config_map("shared", {"v": "2"}, annotations=note))
    assert target.data("shared") == {"v": "2"}


async def test_what_was_yielded_is_a_conflict_when_the_policy_becomes_one(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")
    async with target.applier(conflicts="yield") as applier:
        await apply(applier, owner, fakes.config_map("a", {"v": "1"}))
        target.api.apply(target.path("a"), data_of("a", {"app.properties": "theirs"}), manager="somebody")
        both = fakes.config_map("a", {"v": "2", "app.properties": "ours"})
        found = await apply(applier, target.fresh(owner), both)
        assert actions(found) == {"a": Action.UPDATED}
    async with target.applier(conflicts="yield") as applier:
        assert await settled(applier, target.fresh(owner), both)
    async with target.applier(conflicts="fail") as applier:
        found = await apply(applier, target.fresh(owner), both)
        assert actions(found) == {"a": Action.FAILED}
        assert "somebody" in found.objects[0].message
    assert target.data("a") == {"v": "2", "app.properties": "theirs"}


async def test_a_field_with_dots_in_its_name_is_taken_back_as_any_other(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")
    async with target.applier() as applier:
        await apply(applier, owner, fakes.config_map("a", {"app.properties": "1"}))
        target.api.patch(target.path("a"), {"data": {"app.properties": "theirs"}})
        await asyncio.sleep(0.3)
        found = await apply(applier, target.fresh(owner), fakes.config_map("a", {"app.properties": "2"}))
        assert actions(found) == {"a": Action.UPDATED}
    assert target.data("a") == {"app.properties": "2"}


async def test_a_part_of_an_ignored_field_is_left_to_who_took_it(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")
    item = fakes.config_map("a", {"ours": "1", "theirs": "1"})
    async with target.applier(ignore={"ConfigMap": ["/data"]}) as applier:
        await apply(applier, owner, item)
        target.api.patch(target.path("a"), {"data": {"theirs": "2"}})
        await asyncio.sleep(0.3)
        await apply(applier, target.fresh(owner), item)
        assert target.data("a") == {"ours": "1", "theirs": "2"}
        await apply(applier, target.fresh(owner), fakes.config_map("a", {"ours": "3", "theirs": "1"}))
    assert target.data("a") == {"ours": "3", "theirs": "2"}


@pytest.mark.parametrize(
    "note",
    [
        {"applyset.kubernetes.io/additional-namespaces": "x/y,kube-system,absent"},
        {
            "applyset.kubernetes.io/contains-group-kinds": "ConfigMap,Binding,TokenReview.authentication.k8s.io,Nope.nope"
        },
    ],
)
async def test_forged_hints_keep_nothing_from_being_applied_or_deleted(
    target: test_appliers.ClusterTarget, note: dict[str, str]
) -> None:
    owner = target.owner("web")
    where = target.crd.path(target.namespace, "web")
    async with target.applier(namespaces=[target.namespace]) as applier:
        await apply(applier, owner, fakes.config_map("a", {"v": "1"}))
    target.api.patch(where, {"metadata": {"annotations": note}})
    async with target.applier(namespaces=[target.namespace]) as applier:
        found = await apply(applier, target.fresh(owner), fakes.config_map("a", {"v": "2"}))
        assert actions(found) == {"a": Action.UPDATED}
    target.api.delete(where)
    async with target.applier(namespaces=[target.namespace]) as applier:
        while (await applier.delete(owner.key, target.fresh(owner))).objects:
            await asyncio.sleep(0.05)
    assert target.data("a") is None
    assert not target.api.exists(where)


async def test_thousands_of_forged_hints_cost_no_requests(target: test_appliers.ClusterTarget, tmp_path: Path) -> None:
    owner, plane = target.owner("web"), target.plane
    where = target.crd.path(target.namespace, "web")
    async with target.applier() as applier:
        await apply(applier, owner, fakes.config_map("a", {"v": "1"}), fakes.config_map("b", {"v": "1"}))
    kinds = ",".join(f"Kind{number}.group{number}.example.com" for number in range(5_000))
    spaces = ",".join(f"space{number}" for number in range(5_000))
    note = {
        "applyset.kubernetes.io/contains-group-kinds": f"ConfigMap,{kinds}",
        "applyset.kubernetes.io/additional-namespaces": spaces,
    }
    target.api.patch(where, {"metadata": {"annotations": note}})
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as chaos:
        async with target.applier(kubeconfig=chaos.kubeconfig) as applier:
            found = await apply(applier, target.fresh(owner), fakes.config_map("a", {"v": "2"}))
            assert actions(found) == {"a": Action.UPDATED, "b": Action.PRUNED}
            target.api.delete(where)
            while (await applier.delete(owner.key, target.fresh(owner))).objects:
                await asyncio.sleep(0.05)
        assert len(chaos.requests) < 100
    assert target.data("a") is None
    assert not target.api.exists(where)


async def test_who_was_refused_cleans_up_nothing(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")
    where = target.crd.path(target.namespace, "web")
    async with target.applier() as first, target.applier(controller="second") as second:
        await apply(first, owner, fakes.config_map("a", {"v": "1"}))
        with pytest.raises(Exception, match="belongs to the controller 'contract'"):
            await apply(second, target.fresh(owner), fakes.config_map("a", {"v": "2"}))
        target.api.delete(where)
        assert (await second.delete(owner.key, target.fresh(owner))).objects == ()
        assert target.data("a") == {"v": "1"}
        assert target.api.exists(where)
        while (await first.delete(owner.key, target.fresh(owner))).objects:
            await asyncio.sleep(0.05)
    waiting.wait_until(lambda: not target.api.exists(where))
    assert target.data("a") is None


async def test_the_objects_of_an_owner_that_is_deleted_as_an_orphan_maker_stay(
    target: test_appliers.ClusterTarget,
) -> None:
    owner = target.owner("web")
    where = target.crd.path(target.namespace, "web")
    async with target.applier() as applier:
        await apply(applier, owner, fakes.config_map("a", {"v": "1"}))
        target.api.delete(where, propagationPolicy="Orphan")
        while (await applier.delete(owner.key, target.fresh(owner))).objects:
            await asyncio.sleep(0.05)
        waiting.wait_until(lambda: not target.api.exists(where), timeout=30)
    assert target.data("a") == {"v": "1"}
    assert "labels" not in target.api.get(target.path("a"))["metadata"]


async def test_objects_of_a_waiting_template_are_remembered(target: test_appliers.ClusterTarget) -> None:
    """Hints do not shrink, nor does the finalizer go, while there are objects that nothing renders at the moment."""
    owner = target.owner("web")
    other = f"{target.namespace}-c"
    target.api.create("/api/v1/namespaces", {"metadata": {"name": other}})
    far = interfaces.Unit("far.yaml", (fakes.config_map("far", {"v": "1"}, other),))
    waits = interfaces.Unit("far.yaml", waiting="Service x is not there yet")
    secret: Any = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    near = interfaces.Unit("near.yaml", (interfaces.Manifest(secret),))
    async with target.applier(finalizer="auto") as applier:
        await applier.apply(owner, interfaces.Manifests((far,)))
    async with target.applier(finalizer="auto") as applier:
        await applier.apply(target.fresh(owner), interfaces.Manifests((waits,)))
        await applier.apply(target.fresh(owner), interfaces.Manifests((waits, near)))
        left = target.fresh(owner).metadata
        assert left["annotations"]["applyset.kubernetes.io/additional-namespaces"] == other
        assert left["annotations"]["applyset.kubernetes.io/contains-group-kinds"] == "ConfigMap,Secret"
        target.api.patch(target.crd.path(target.namespace, "web"), {"metadata": {"finalizers": None}})
        await applier.apply(target.fresh(owner), interfaces.Manifests((waits, near)))
        assert target.fresh(owner).metadata["finalizers"] == ["lostromos.dev/cleanup"]
        target.api.delete(target.crd.path(target.namespace, "web"))
        while (await applier.delete(owner.key, target.fresh(owner))).objects:
            await asyncio.sleep(0.05)
    assert not target.api.exists(f"/api/v1/namespaces/{other}/configmaps/far")
    target.api.delete(f"/api/v1/namespaces/{other}")


async def test_a_resource_that_has_changed_since_it_was_read_is_marked(target: test_appliers.ClusterTarget) -> None:
    """Our own report on its status is enough for that: a reconcile that takes long is reported meanwhile."""
    read = target.owner("web")
    target.api.patch(target.crd.path(target.namespace, "web"), {"metadata": {"labels": {"changed": "true"}}})
    async with target.applier() as applier:
        applied = await applier.apply(read, fakes.manifests(fakes.config_map("web-a", {"text": "a"})))
    assert not applied.failed
    assert target.data("web-a") == {"text": "a"}
    marked = target.fresh(read).metadata
    assert labels.CONTROLLER in marked["annotations"]
    assert marked["labels"]["changed"] == "true"


async def test_a_resource_that_was_claimed_since_it_was_read_is_left_alone(target: test_appliers.ClusterTarget) -> None:
    read = target.owner("web")
    claimed = {"metadata": {"annotations": {labels.CONTROLLER: "another"}}}
    target.api.patch(target.crd.path(target.namespace, "web"), claimed)
    async with target.applier() as applier:
        with pytest.raises(errors.ClaimedError, match="belongs to the controller 'another'"):
            await applier.apply(read, fakes.manifests(fakes.config_map("web-a", {"text": "a"})))
    assert target.data("web-a") is None


async def test_a_resource_that_was_made_anew_since_it_was_read_is_not_marked(
    target: test_appliers.ClusterTarget,
) -> None:
    read = target.owner("web")
    target.api.delete(target.crd.path(target.namespace, "web"))
    target.owner("web")
    async with target.applier() as applier:
        with pytest.raises(errors.ApiError, match="mark WebApp"):
            await applier.apply(read, fakes.manifests(fakes.config_map("web-a", {"text": "a"})))
    assert target.data("web-a") is None
    assert labels.CONTROLLER not in target.fresh(read).metadata.get("annotations", {})
