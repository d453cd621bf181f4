"""Versions of kinds come and go: objects are found in the one that is served, and applied whatever they name."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import errors, interfaces
from tests import fakes
from tests.contract import test_looking_after
from tests.controlplane import crds as crds_
from tests.controlplane import errors as api_errors
from tests.controlplane import waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tests.conftest import MakeCrd
    from tests.contract import test_appliers
    from tests.controlplane import api as apis

Action = interfaces.Action
OLD, NEW = "v1alpha1", "v1"


def add_version(api: apis.Api, kind: crds_.CustomKind, name: str, *, stored: bool = False) -> None:
    """Serve a kind in one more version, that differs in nothing."""
    path = f"{crds_.DEFINITIONS}/{kind.definition_name}"
    versions = api.get(path)["spec"]["versions"]
    more = {**copy.deepcopy(versions[-1]), "name": name, "storage": stored}
    if stored:
        versions = [{**version, "storage": False} for version in versions]
    api.patch(path, {"spec": {"versions": [more, *versions]}})
    wait_served(api, kind, name, served=True)


def stop_serving(api: apis.Api, kind: crds_.CustomKind, name: str) -> None:
    """Serve a version no longer, and store none of it."""
    path = f"{crds_.DEFINITIONS}/{kind.definition_name}"
    versions = api.get(path)["spec"]["versions"]
    others = [version["name"] for version in versions if version["name"] != name]
    for version in versions:
        version["served"] = version["served"] and version["name"] != name
        version["storage"] = version["name"] == others[-1]
    api.patch(path, {"spec": {"versions": versions}})
    wait_served(api, kind, name, served=False)
    for other in others:
        wait_served(api, kind, other, served=any(v["served"] for v in versions if v["name"] == other))


def remove_version(api: apis.Api, kind: crds_.CustomKind, name: str) -> None:
    """Remove a version as Kubernetes describes it; nothing is stored in it."""
    stop_serving(api, kind, name)
    path = f"{crds_.DEFINITIONS}/{kind.definition_name}"
    kept = [version for version in api.get(path)["spec"]["versions"] if version["name"] != name]
    stored = [version["name"] for version in kept if version["storage"]]
    api.patch(f"{path}/status", {"status": {"storedVersions": stored}})
    api.patch(path, {"spec": {"versions": kept}})
    wait_served(api, kind, name, served=False)
    wait_served(api, kind, stored[0], served=True)


def wait_served(api: apis.Api, kind: crds_.CustomKind, name: str, *, served: bool) -> None:
    spoken = dataclasses.replace(kind, version=name)

    def answers() -> bool:
        try:
            api.list(spoken.path())
        except api_errors.ApiError as error:
            if error.status not in crds_.NOT_YET:
                raise
            return False
        return True

    waiting.wait_until(lambda: answers() is served, message=f"{kind.definition_name} {name} served: {served}")


def gadget(kind: crds_.CustomKind, version: str, name: str, *, a: int = 1, **metadata: Any) -> interfaces.Manifest:
    spoken = dataclasses.replace(kind, version=version)
    data = spoken.manifest(name, spec={"a": a}, **metadata)
    return interfaces.Manifest(data)


async def persistently(act: Callable[[], Awaitable[interfaces.Applied]]) -> interfaces.Applied:
    """Try again as a reconcile does: for some seconds, a definition that was changed is not served at all."""
    async with asyncio.timeout(60):
        while True:
            try:
                found = await act()
            except errors.LostromosError as error:
                if not error.retryable:
                    raise
            else:
                if not any(result.retryable for result in found.failed):
                    return found
            await asyncio.sleep(0.2)


async def deleted(applier: interfaces.Applier, target: test_appliers.ClusterTarget, owner: interfaces.Resource) -> None:
    if "deletionTimestamp" not in target.fresh(owner).metadata:
        target.api.delete(target.crd.path(target.namespace, owner.ref.name))
    async with asyncio.timeout(60):
        while (await persistently(lambda: applier.delete(owner.key, target.fresh(owner)))).objects:
            await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    ("target", "namespaced", "restarted"),
    [("server-side", True, False), ("server-side", False, True), ("kubectl", False, False), ("kubectl", True, True)],
    indirect=["target"],
)
async def test_objects_go_though_their_version_is_not_served_any_more(
    target: test_appliers.ClusterTarget, make_crd: MakeCrd, namespaced: bool, restarted: bool
) -> None:
    """Deleted with their owner; pruned; let go of, since they say so; and held by a finalizer of their own."""
    kind, api = make_crd("Gadget", namespaced=namespaced), target.api
    add_version(api, kind, OLD, stored=True)
    place = target.namespace if namespaced else None
    names = {how: f"{target.namespace}-{how}" for how in ("delete", "prune", "orphan", "held")}
    orphan: dict[str, Any] = {"annotations": {"lostromos.dev/on-delete": "orphan"}}
    items = {
        "delete": gadget(kind, OLD, names["delete"]),
        "prune": gadget(kind, OLD, names["prune"]),
        "orphan": gadget(kind, OLD, names["orphan"], **orphan),
        "held": gadget(kind, OLD, names["held"]),
    }
    owners = {how: target.owner(how) for how in items}

    def there(how: str) -> bool:
        return api.exists(kind.path(place, names[how]))

    async def end(applier: interfaces.Applier) -> None:
        kept = fakes.manifests(fakes.config_map("kept-prune", {}))
        found = await persistently(lambda: applier.apply(target.fresh(owners["prune"]), kept))
        assert not found.failed
        api.patch(kind.path(place, names["held"]), {"metadata": {"finalizers": ["example.com/hold"]}})
        api.delete(target.crd.path(target.namespace, "held"))
        held = await persistently(lambda: applier.delete(owners["held"].key, target.fresh(owners["held"])))
        assert held.remaining == 1
        assert there("held")
        api.patch(kind.path(place, names["held"]), {"metadata": {"finalizers": None}})
        await asyncio.gather(*(deleted(applier, target, owner) for owner in owners.values()))

    async with target.applier(prune_share=1) as applier:
        for how, item in items.items():
            await applier.apply(owners[how], fakes.manifests(item, fakes.config_map(f"kept-{how}", {})))
        stop_serving(api, kind, OLD)
        if not restarted:
            await end(applier)
    if restarted:
        async with target.applier(prune_share=1) as applier:
            await end(applier)
    assert [how for how in items if there(how)] == ["orphan"]
    assert "applyset.kubernetes.io/part-of" not in (
        api.get(kind.path(place, names["orphan"]))["metadata"].get("labels") or {}
    )


async def test_a_version_that_is_gone_rings_and_is_told(target: test_appliers.ClusterTarget, make_crd: MakeCrd) -> None:
    kind, owner, sink = make_crd("Gadget"), target.owner("web"), test_looking_after.Sink()
    add_version(target.api, kind, OLD)
    async with target.applier(enqueue=sink) as applier:
        await applier.apply(owner, fakes.manifests(gadget(kind, OLD, "g")))
        stop_serving(target.api, kind, OLD)
        async with asyncio.timeout(60):
            while not sink.rung:
                await asyncio.sleep(0.1)
        (found,) = (await applier.apply(target.fresh(owner), fakes.manifests(gadget(kind, OLD, "g")))).objects
        assert found.action is Action.FAILED
        assert f"{kind.group}/{NEW}: write that instead" in found.message
        again = fakes.manifests(gadget(kind, NEW, "g"))
        (found,) = (await persistently(lambda: applier.apply(target.fresh(owner), again))).objects
        assert found.action in {Action.UNCHANGED, Action.UPDATED}


async def test_a_kind_that_was_removed_holds_nobody(target: test_appliers.ClusterTarget, make_crd: MakeCrd) -> None:
    kind, owner = make_crd("Gadget"), target.owner("web")
    add_version(target.api, kind, OLD)
    async with target.applier() as applier:
        await applier.apply(owner, fakes.manifests(gadget(kind, OLD, "g"), fakes.config_map("a", {})))
        crds_.delete_all(target.api, kind)
        await asyncio.to_thread(crds_.wait_gone, target.api, kind)
        await asyncio.to_thread(wait_served, target.api, kind, OLD, served=False)
        await deleted(applier, target, owner)
    assert target.data("a") is None


async def test_objects_are_applied_whatever_versions_their_managed_fields_name(
    target: test_appliers.ClusterTarget, make_crd: MakeCrd
) -> None:
    """Of our own, of others' updates and applies, of the status, of two versions; and of none that is gone."""
    kind, api, owner = make_crd("Gadget"), target.api, target.owner("web")
    older = "v1alpha2"
    add_version(api, kind, OLD)
    add_version(api, kind, older)
    names = ("ours", "update", "apply", "status", "two", "both", "none")

    def path(name: str, version: str, *, subresource: str | None = None) -> str:
        spoken = dataclasses.replace(kind, version=version)
        return spoken.path(target.namespace, name, subresource=subresource)

    def body(name: str, version: str, **more: Any) -> dict[str, Any]:
        return {"apiVersion": f"{kind.group}/{version}", "kind": "Gadget", "metadata": {"name": name}, **more}

    def items(a: int, *, old: Sequence[str] = ()) -> list[interfaces.Manifest]:
        return [gadget(kind, OLD if name in old else NEW, name, a=a) for name in names]

    async with target.applier() as applier:
        await applier.apply(owner, fakes.manifests(*items(1, old=("ours", "both"))))
    for name in ("update", "two", "both"):
        api.patch(path(name, OLD), {"spec": {"theirs": 1}}, fieldManager="somebody")
    api.patch(path("both", NEW), {"spec": {"more": 1}}, fieldManager="somebody")
    api.apply(path("apply", OLD), body("apply", OLD, spec={"theirs": 1}), manager="somebody")
    api.apply(path("two", older), body("two", older, spec={"two": 1}), manager="another")
    status = {"observedGeneration": 7}
    api.patch(path("status", OLD, subresource="status"), {"status": status}, fieldManager="somebody")
    remove_version(api, kind, OLD)
    remove_version(api, kind, older)
    async with target.applier() as applier:
        found = await persistently(lambda: applier.apply(target.fresh(owner), fakes.manifests(*items(2))))
        assert not found.failed, [result.message for result in found.failed]
        assert await test_looking_after.settled(applier, target.fresh(owner), *items(2))
    live = {name: api.get(path(name, NEW)) for name in names}
    assert {item["spec"]["a"] for item in live.values()} == {2}
    theirs = {name: {key for key in item["spec"] if key != "a"} for name, item in live.items()}
    assert theirs == {
        "ours": set(), "update": {"theirs"}, "apply": {"theirs"}, "status": set(), "two": {"theirs", "two"},
        "both": {"theirs", "more"}, "none": set(),
    }  # fmt: skip
    assert live["status"]["status"] == status
    for name, item in live.items():
        spoken = {entry["apiVersion"] for entry in item["metadata"]["managedFields"]}
        assert spoken == {f"{kind.group}/{NEW}"}, name
    writers = [entry["manager"] for entry in live["both"]["metadata"]["managedFields"]]
    assert writers.count("somebody") == 1
