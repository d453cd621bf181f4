"""What was applied is looked after: pruned, repaired, and not written again. Both appliers, on the real API server."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import interfaces
from lostromos_core.kube.transport import operations
from lostromos_kubectl import applyset
from tests import fakes
from tests.controlplane import kubelet, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from lostromos_core.kube import cluster as clusters
    from tests.contract import test_appliers


Action = interfaces.Action


class Sink:
    """Keys that were rung for."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    def __call__(self, key: str) -> None:
        self.rung.append(key)

    async def rings(self) -> None:
        async with asyncio.timeout(60):
            while not self.rung:
                await asyncio.sleep(0.01)
        self.rung.clear()

    async def is_silent(self, seconds: float = 1.0) -> None:
        await asyncio.sleep(seconds)
        assert self.rung == []


def data_of(name: str, data: dict[str, str]) -> dict[str, Any]:
    """A body to apply in somebody else's name."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def apply(
    applier: interfaces.Applier, owner: interfaces.Resource, *items: interfaces.Manifest
) -> interfaces.Applied:
    return await applier.apply(owner, fakes.manifests(*items))


async def settled(applier: interfaces.Applier, owner: interfaces.Resource, *items: interfaces.Manifest) -> bool:
    """Whether another reconcile finds nothing to do."""
    applied = await apply(applier, owner, *items)
    return all(result.action is Action.UNCHANGED for result in applied.objects)


async def eventually(predicate: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not predicate():
            await asyncio.sleep(0.02)


def actions(applied: interfaces.Applied) -> dict[str, Action]:
    return {result.ref.name: result.action for result in applied.objects}


async def test_what_is_no_longer_rendered_is_pruned(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")
    secret = interfaces.Manifest(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "1"}}
    )
    async with target.applier() as applier:
        await apply(applier, owner, fakes.config_map("a", {"v": "1"}), fakes.config_map("b", {"v": "1"}), secret)
        found = await apply(applier, target.fresh(owner), fakes.config_map("a", {"v": "1"}), secret)
        assert actions(found) == {"a": Action.UNCHANGED, "s": Action.UNCHANGED, "b": Action.PRUNED}
        assert target.data("b") is None
    async with target.applier() as applier:
        found = await apply(applier, target.fresh(owner), fakes.config_map("a", {"v": "1"}))
    assert actions(found) == {"a": Action.UNCHANGED, "s": Action.PRUNED}
    assert not target.api.exists(target.path("s", "secrets"))


async def test_nothing_is_pruned_while_something_failed_or_waits(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")
    units = {name: interfaces.Unit(f"{name}.yaml", (fakes.config_map(name, {"v": "1"}),)) for name in "abc"}
    async with target.applier() as applier:
        await applier.apply(owner, interfaces.Manifests(tuple(units.values())))
        bad = fakes.config_map("d", {"bad": ["x"]})
        await apply(applier, target.fresh(owner), bad)
        assert [target.data(name) for name in "abc"] == [{"v": "1"}] * 3
        waits = interfaces.Unit("b.yaml", waiting="Service x is not there yet")
        found = await applier.apply(target.fresh(owner), interfaces.Manifests((units["a"], waits)))
        assert actions(found) == {"a": Action.UNCHANGED}
        assert target.data("c") == {"v": "1"}  # its file is gone, and who knows what the waiting one will make
        found = await applier.apply(target.fresh(owner), interfaces.Manifests((units["a"], units["b"])))
        assert actions(found) == {"a": Action.UNCHANGED, "b": Action.UNCHANGED, "c": Action.PRUNED}
    assert target.data("b") == {"v": "1"}


async def test_copies_that_carry_our_marks_are_not_ours(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")
    async with target.applier() as applier:
        await apply(applier, owner, fakes.config_map("a", {"v": "1"}))
        copy = target.api.get(target.path("a"))
        copy["metadata"] = {key: copy["metadata"][key] for key in ("labels", "annotations")} | {"name": "copy"}
        target.api.create(target.path("").rstrip("/"), copy)
        before = target.api.get(target.path("copy"))
        await asyncio.sleep(0.5)
        await apply(applier, target.fresh(owner), fakes.config_map("a", {"v": "2"}))
        target.api.delete(target.crd.path(target.namespace, "web"))
        while (await applier.delete(owner.key, target.fresh(owner))).objects:
            await asyncio.sleep(0.05)
    assert target.api.get(target.path("copy")) == before
    assert target.data("a") is None


async def test_many_at_once_are_pruned_only_with_consent(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")
    items = [fakes.config_map(f"x{number}", {}) for number in range(6)]
    async with target.applier() as applier:
        await apply(applier, owner, *items)
        found = await apply(applier, target.fresh(owner), *items[:2])
        assert [result.action for result in found.objects] == [Action.UNCHANGED] * 2 + [Action.WAITING] * 4
        assert 'lostromos.dev/allow-prune: "4"' in found.objects[2].message
        assert target.data("x5") == {}
        note = {"metadata": {"annotations": {"lostromos.dev/allow-prune": "4"}}}
        target.api.patch(target.crd.path(target.namespace, "web"), note)
        found = await apply(applier, target.fresh(owner), *items[:2])
        assert [result.action for result in found.objects] == [Action.UNCHANGED] * 2 + [Action.PRUNED] * 4
    assert target.data("x5") is None


async def test_nothing_is_kept_of_what_was_pruned(target: test_appliers.ClusterTarget) -> None:
    owner, sink = target.owner("web"), Sink()
    async with target.applier(enqueue=sink) as applier:
        await apply(applier, owner, *(fakes.config_map(name, {}) for name in "abcd"))
        await asyncio.sleep(0.5)
        await apply(applier, target.fresh(owner), fakes.config_map("a", {}), fakes.config_map("b", {}))
        await sink.is_silent()
        owned = applier._sets._known.of(target.fresh(owner))  # type: ignore[attr-defined]
    assert owned.pruned == set()
    assert len(owned.entries) == 2


@pytest.mark.parametrize("how", ["update", "apply", "remove", "delete", "label", "reference"])
async def test_what_somebody_changes_is_repaired(target: test_appliers.ClusterTarget, how: str) -> None:
    owner, sink = target.owner("web"), Sink()
    item = fakes.config_map("a", {"v": "1", "w": "1"})
    where = target.path("a")
    async with target.applier(enqueue=sink) as applier:
        await apply(applier, owner, item)
        await sink.is_silent()
        if how == "update":
            target.api.patch(where, {"data": {"v": "theirs"}})
        elif how == "apply":
            target.api.apply(where, data_of("a", {"v": "theirs"}), manager="somebody", force=True)
        elif how == "remove":
            target.api.patch(where, {"data": {"v": None}})
        elif how == "delete":
            target.api.delete(where)
        elif how == "label":
            target.api.patch(where, {"metadata": {"labels": None}})
        else:
            target.api.patch(where, {"metadata": {"ownerReferences": None}})
        await sink.rings()
        found = await apply(applier, target.fresh(owner), item)
        assert found.objects[0].action in {Action.UPDATED, Action.CREATED}
        assert await settled(applier, target.fresh(owner), item)
        await asyncio.sleep(0.3)
        assert await settled(applier, target.fresh(owner), item)
    live = target.api.get(where)
    assert live["data"] == {"v": "1", "w": "1"}
    assert "applyset.kubernetes.io/part-of" in live["metadata"]["labels"]
    assert live["metadata"]["ownerReferences"][0]["uid"] == owner.uid


@pytest.mark.parametrize("how", ["update", "delete", "label"])
async def test_what_somebody_changed_while_we_were_away_is_repaired(
    target: test_appliers.ClusterTarget, how: str
) -> None:
    owner = target.owner("web")
    item = fakes.config_map("a", {"v": "1"})
    async with target.applier() as applier:
        await apply(applier, owner, item)
    if how == "update":
        target.api.patch(target.path("a"), {"data": {"v": "theirs"}})
    elif how == "delete":
        target.api.delete(target.path("a"))
    else:
        target.api.patch(target.path("a"), {"metadata": {"labels": None}})
    async with target.applier() as applier:
        assert not await settled(applier, target.fresh(owner), item)
        assert await settled(applier, target.fresh(owner), item)
    assert target.data("a") == {"v": "1"}


async def test_fields_that_are_not_ours_are_left_alone(target: test_appliers.ClusterTarget) -> None:
    owner, sink = target.owner("web"), Sink()
    item = deployment("d")
    where = target.path("d", "deployments", "/apis/apps/v1")
    async with target.applier(enqueue=sink) as applier:
        await apply(applier, owner, item)
        await sink.is_silent()
        target.api.patch(where, {"spec": {"replicas": 7}, "metadata": {"annotations": {"x": "y"}}})
        target.api.patch(f"{where}/status", {"status": {"replicas": 7}})
        await sink.is_silent()
        version = target.api.get(where)["metadata"]["resourceVersion"]
        assert await settled(applier, target.fresh(owner), item)
    async with target.applier() as applier:
        assert await settled(applier, target.fresh(owner), item)
    live = target.api.get(where)
    assert (live["spec"]["replicas"], live["metadata"]["resourceVersion"]) == (7, version)


def deployment(name: str, *, image: str = "a", **spec: Any) -> interfaces.Manifest:
    labels = {"app": name}
    container = {"name": "c", "image": image, "ports": [{"containerPort": 80}], "env": [{"name": "A", "value": "1"}]}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    body = {"selector": {"matchLabels": labels}, "template": pod, **spec}
    return interfaces.Manifest(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": body}
    )


async def test_ignored_fields_are_set_once_and_then_left_to_others(target: test_appliers.ClusterTarget) -> None:
    owner, sink = target.owner("web"), Sink()
    where = target.path("d", "deployments", "/apis/apps/v1")
    async with target.applier(enqueue=sink, ignore={"Deployment": ["/spec/replicas"]}) as applier:
        await apply(applier, owner, deployment("d", replicas=2))
        assert target.api.get(where)["spec"]["replicas"] == 2
        target.api.patch(where, {"spec": {"replicas": 7}})
        await asyncio.sleep(0.5)
        assert await settled(applier, target.fresh(owner), deployment("d", replicas=2))
        found = await apply(applier, target.fresh(owner), deployment("d", replicas=2, image="b"))
        assert found.objects[0].action is Action.UPDATED
    live = target.api.get(where)["spec"]
    assert (live["replicas"], live["template"]["spec"]["containers"][0]["image"]) == (7, "b")


async def test_conflicts_are_decided_as_the_object_says(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")
    policies = ("fail", "force", "yield")

    def items(**data: str) -> list[interfaces.Manifest]:
        return [fakes.config_map(how, data, annotations={"lostromos.dev/conflicts": how}) for how in policies]

    async with target.applier() as applier:
        await apply(applier, owner, *items(v="1"))
        for how in policies:
            target.api.apply(target.path(how), data_of(how, {"w": "theirs"}), manager="somebody")
        found = await apply(applier, target.fresh(owner), *items(v="2", w="ours"))
    assert actions(found) == {"fail": Action.FAILED, "force": Action.UPDATED, "yield": Action.UPDATED}
    assert "somebody" in found.objects[0].message
    assert not found.objects[0].retryable
    assert target.data("fail") == {"v": "1", "w": "theirs"}
    assert target.data("force") == {"v": "2", "w": "ours"}
    assert target.data("yield") == {"v": "2", "w": "theirs"}


async def test_created_only_objects_are_never_changed(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")

    def item(value: str) -> interfaces.Manifest:
        return fakes.config_map("a", {"v": value}, annotations={"lostromos.dev/create-only": "true"})

    async with target.applier() as applier:
        await apply(applier, owner, item("1"))
        target.api.patch(target.path("a"), {"data": {"v": "theirs"}})
        await asyncio.sleep(0.3)
        assert await settled(applier, target.fresh(owner), item("2"))
    async with target.applier() as applier:
        assert await settled(applier, target.fresh(owner), item("3"))
    assert target.data("a") == {"v": "theirs"}


async def test_orphans_stay_without_our_marks(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")
    items = [fakes.config_map(name, {"v": "1"}, annotations={"lostromos.dev/on-delete": "orphan"}) for name in "ab"]
    async with target.applier() as applier:
        await apply(applier, owner, *items)
        assert "ownerReferences" not in target.api.get(target.path("a"))["metadata"]
        await apply(applier, target.fresh(owner), items[0])
        target.api.delete(target.crd.path(target.namespace, "web"))
        while (await applier.delete(owner.key, target.fresh(owner))).objects:
            await asyncio.sleep(0.05)
    for name in "ab":
        live = target.api.get(target.path(name))["metadata"]
        assert "labels" not in live
        assert set(live["annotations"]) == {"lostromos.dev/on-delete"}
    assert not target.api.exists(target.crd.path(target.namespace, "web"))


async def test_immutable_fields_are_named_or_the_object_is_recreated(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")

    def item(name: str, value: str, **annotations: str) -> interfaces.Manifest:
        head = {"name": name, "annotations": annotations}
        return interfaces.Manifest(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": head, "data": {"v": value}, "immutable": True}
        )

    def items(value: str) -> list[interfaces.Manifest]:
        return [item("a", value), item("b", value, **{"lostromos.dev/recreate": "true"})]

    async with target.applier() as applier:
        await apply(applier, owner, *items("1"))
        for _ in range(50):
            found = await apply(applier, target.fresh(owner), *items("2"))
            if target.data("b") == {"v": "2"}:
                break
            await asyncio.sleep(0.1)
    failed = found.objects[0]
    assert (failed.action, failed.retryable) == (Action.FAILED, False)
    assert "data" in failed.message
    assert "lostromos.dev/recreate" in failed.message
    assert target.data("a") == {"v": "1"}
    assert target.data("b") == {"v": "2"}


async def test_a_wave_begins_when_the_one_before_is_ready(target: test_appliers.ClusterTarget) -> None:
    owner, sink = target.owner("web"), Sink()
    first = deployment("d")
    later = [fakes.config_map(f"w{wave}", {}, annotations={"lostromos.dev/wave": str(wave)}) for wave in (1, 2)]
    async with target.applier(enqueue=sink) as applier:
        found = await apply(applier, owner, *later, first)
        assert actions(found) == {"d": Action.CREATED, "w1": Action.WAITING, "w2": Action.WAITING}
        assert "replicas" in next(result.message for result in found.objects if result.ref.name == "w2")
        assert target.data("w1") is None
        async with asyncio.timeout(30):
            while actions(found).get("w2") is Action.WAITING:
                kubelet.run_pods(target.api, target.namespace)
                await sink.rings()
                found = await apply(applier, target.fresh(owner), *later, first)
        assert actions(found) == {"d": Action.UNCHANGED, "w1": Action.CREATED, "w2": Action.CREATED}


async def test_who_waits_for_all_reads_only_what_has_changed(
    target: test_appliers.ClusterTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, sink, reads = target.owner("web"), Sink(), list[str]()
    items = [deployment("one", replicas=1), deployment("two", replicas=0), fakes.config_map("c", {})]
    read = operations.read_outline

    async def counted(kube: clusters.Cluster, path: str, *, action: str) -> Any:
        reads.append(path.rpartition("/")[2])
        return await read(kube, path, action=action)

    monkeypatch.setattr(operations, "read_outline", counted)
    async with target.applier(enqueue=sink, wait=True) as applier:
        found = await apply(applier, owner, *items)
        async with asyncio.timeout(30):
            while found.waiting:
                kubelet.run_pods(target.api, target.namespace)
                await sink.rings()
                found = await apply(applier, target.fresh(owner), *items)
        await asyncio.sleep(1)
        found = await apply(applier, target.fresh(owner), *items)
        sink.rung.clear()
        reads.clear()
        assert (await apply(applier, target.fresh(owner), *items)).waiting == ()
        assert reads == []
        target.api.patch(target.path("c"), {"metadata": {"labels": {"a": "b"}}})
        await sink.is_silent()
        pods = f"/api/v1/namespaces/{target.namespace}/pods"
        target.api.delete(f"{pods}/{target.api.list(pods)[0]['metadata']['name']}")
        await sink.rings()
        async with asyncio.timeout(60):
            while not (found := await apply(applier, target.fresh(owner), *items)).waiting:
                await asyncio.sleep(0.1)
        assert {result.ref.name for result in found.waiting} == {"one"}
        assert set(reads) == {"one"}


async def test_a_failing_wave_keeps_the_later_ones_from_beginning(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")
    later = fakes.config_map("later", {}, annotations={"lostromos.dev/wave": "1"})
    async with target.applier() as applier:
        found = await apply(applier, owner, fakes.config_map("first", {"bad": ["x"]}), later)
    assert actions(found) == {"first": Action.FAILED, "later": Action.WAITING}
    assert target.data("later") is None


async def test_deletion_goes_wave_by_wave_from_the_last(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")
    items = [
        fakes.config_map("first", {}),
        fakes.config_map("last", {}, annotations={"lostromos.dev/wave": "1"}, finalizers=["example.com/hold"]),
    ]
    async with target.applier() as applier:
        await apply(applier, owner, *items)
        target.api.delete(target.crd.path(target.namespace, "web"))
        for _ in range(3):
            found = await applier.delete(owner.key, target.fresh(owner))
            assert actions(found) == {"last": Action.WAITING}
            assert target.data("first") == {}
        target.api.patch(target.path("last"), {"metadata": {"finalizers": None}})
        while (await applier.delete(owner.key, target.fresh(owner))).objects:
            await asyncio.sleep(0.05)
    assert target.data("first") is None


async def test_a_request_to_reconcile_applies_everything_again(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")
    item = fakes.config_map("a", {"v": "1"})
    async with target.applier() as applier:
        await apply(applier, owner, item)
        assert await settled(applier, target.fresh(owner), item)
        note = {"metadata": {"annotations": {"lostromos.dev/reconcile": "now"}}}
        target.api.patch(target.crd.path(target.namespace, "web"), note)
        before = target.api.metrics().writes(resource="configmaps")
        assert await settled(applier, target.fresh(owner), item)
        await eventually(lambda: target.api.metrics().writes(resource="configmaps") > before)


async def test_an_object_of_a_kind_that_comes_with_it_is_applied_in_the_end(
    target: test_appliers.ClusterTarget,
) -> None:
    group = f"x{target.crd.group}"
    definition = json.loads(
        json.dumps(
            target.api.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{target.crd.definition_name}")
        )
    )
    body = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group, "scope": "Namespaced", "versions": definition["spec"]["versions"],
            "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
        },
    }  # fmt: skip
    thing = {
        "apiVersion": f"{group}/v1",
        "kind": "Thing",
        "metadata": {"name": "t", "annotations": {"lostromos.dev/wave": "1"}},
    }
    owner = target.owner("web")
    async with target.applier() as applier:
        async with asyncio.timeout(60):
            while True:
                found = await apply(applier, target.fresh(owner), interfaces.Manifest(body), interfaces.Manifest(thing))
                if all(result.action in {Action.CREATED, Action.UNCHANGED} for result in found.objects):
                    break
                assert all(result.retryable for result in found.failed), found
                await asyncio.sleep(0.5)
        target.api.delete(target.crd.path(target.namespace, "web"))
        async with asyncio.timeout(60):
            while (await applier.delete(owner.key, target.fresh(owner))).objects:
                await asyncio.sleep(0.2)
    assert not target.api.exists(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.{group}")


def site(target: test_appliers.ClusterTarget) -> interfaces.Resource:
    """A resource of a source that is not the Kubernetes API."""
    ref = interfaces.ObjectRef("sites.example.org/v1", "Site", target.namespace, "one")
    return interfaces.Resource("https://sites.example.org/1", ref, "", {"metadata": {"name": "one"}, "spec": {}})


async def test_objects_of_other_sources_are_remembered_in_a_config_map(target: test_appliers.ClusterTarget) -> None:
    owner, other = site(target), f"{target.namespace}-b"
    target.api.create("/api/v1/namespaces", {"metadata": {"name": other}})
    items = [fakes.config_map("a", {"v": "1"}), fakes.config_map("b", {"v": "1"}, other)]
    async with target.applier(inventory_namespace=target.namespace) as applier:
        await apply(applier, owner, *items)
        assert await settled(applier, owner, *items)
        assert "ownerReferences" not in target.api.get(target.path("a"))["metadata"]
    async with target.applier(inventory_namespace=target.namespace) as applier:
        found = await apply(applier, owner, items[0])
        assert actions(found) == {"a": Action.UNCHANGED, "b": Action.PRUNED}
        remembered = [item for item in target.api.list(target.path("").rstrip("/")) if "resource" in item["data"]]
        assert len(remembered) == 1
    async with target.applier(inventory_namespace=target.namespace) as applier:
        while (await applier.delete(owner.key, None)).objects:
            await asyncio.sleep(0.05)
    names = [item["metadata"]["name"] for item in target.api.list(target.path("").rstrip("/"))]
    assert names in ([], [waiting.ROOT_CA])
    target.api.delete(f"/api/v1/namespaces/{other}")


async def test_operators_that_share_a_namespace_for_inventories_delete_nothing_of_each_other(
    target: test_appliers.ClusterTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applyset, "SWEEP", 0.1)
    owner, rung = site(target), Sink()
    other = dataclasses.replace(owner, key="another", ref=dataclasses.replace(owner.ref, name="two"))
    item = fakes.config_map("a", {"v": "1"})
    space = target.namespace
    async with target.applier(inventory_namespace=space, operator=f"{space}/a") as first:
        await apply(first, owner, item)
        before = target.api.get(target.path("a"))["metadata"]["uid"]
        async with target.applier(inventory_namespace=space, operator=f"{space}/b", enqueue=rung) as second:
            await apply(second, other, fakes.config_map("b", {"v": "1"}))
            await asyncio.sleep(1)  # it may be rung for what nobody has told it of
            assert (await second.delete(owner.key, None)).objects == ()
            await asyncio.sleep(0.5)
            assert target.api.get(target.path("a"))["metadata"]["uid"] == before
        while (await first.delete(owner.key, None)).objects:
            await asyncio.sleep(0.05)
    assert target.data("a") is None


async def test_an_inventory_that_is_deleted_is_written_again(target: test_appliers.ClusterTarget) -> None:
    owner = site(target)
    rung: list[str] = []

    def inventories() -> list[str]:
        items = target.api.list(target.path("").rstrip("/"), labelSelector="applyset.kubernetes.io/id")
        return [item["metadata"]["name"] for item in items]

    item = fakes.config_map("a", {"v": "1"})
    async with target.applier(inventory_namespace=target.namespace, enqueue=rung.append) as applier:
        await apply(applier, owner, item)
        [name] = inventories()
        await asyncio.sleep(1)
        rung.clear()
        target.api.delete(target.path(name))
        async with asyncio.timeout(30):
            while inventories() != [name]:  # the key may be rung for its objects as well, before that
                while owner.key not in rung:
                    await asyncio.sleep(0.05)
                rung.clear()
                await apply(applier, owner, item)


async def test_what_a_source_forgot_while_nobody_watched_is_rung_for(
    target: test_appliers.ClusterTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = site(target)
    async with target.applier(inventory_namespace=target.namespace) as applier:
        await apply(applier, owner, fakes.config_map("a", {"v": "1"}))
    monkeypatch.setattr(applyset, "SWEEP", 0.1)
    sink = Sink()
    async with target.applier(inventory_namespace=target.namespace, enqueue=sink) as applier:
        await sink.rings()
        while (await applier.delete(owner.key, None)).objects:
            await asyncio.sleep(0.05)
    assert target.data("a") is None


async def test_who_fights_for_a_field_is_named_and_gets_longer_pauses(target: test_appliers.ClusterTarget) -> None:
    owner, sink = target.owner("web"), Sink()
    item = fakes.config_map("a", {"v": "1"})
    async with target.applier(enqueue=sink) as applier:
        await apply(applier, owner, item)
        for _ in range(12):
            body = data_of("a", {"v": "theirs"})
            target.api.apply(target.path("a"), body, manager="autopilot", force=True)
            await sink.rings()
            found = await apply(applier, target.fresh(owner), item)
            if found.failed:
                break
        (result,) = found.objects
        assert (result.action, result.retryable) == (Action.FAILED, True)
        assert "autopilot" in result.message
        assert result.after is not None
        assert 0 < result.after <= 2
        await asyncio.sleep(result.after)
        found = await apply(applier, target.fresh(owner), item)
        assert found.objects[0].action is Action.UPDATED
    assert target.data("a") == {"v": "1"}
