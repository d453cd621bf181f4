"""What cannot be changed is created again if the template says so, whoever forbids the change, and nothing else is."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import interfaces
from tests import fakes, policies
from tests.contract import test_looking_after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeCrd
    from tests.contract import test_appliers
    from tests.controlplane import crds as crds_

Action = interfaces.Action
RECREATE = {"lostromos.dev/recreate": "true"}
PODS = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0}
RULE = {"rule": "(has(self.free) && self.free) || self.size == oldSelf.size", "message": "size is set when it is made"}
SIZES = {
    "type": "object",
    "properties": {"free": {"type": "boolean"}, "size": {"type": "integer", "maximum": 10}},
    "x-kubernetes-validations": [RULE],
}


def made(api_version: str, kind: str, name: str, **parts: Any) -> interfaces.Manifest:
    metadata = {"name": name, "annotations": RECREATE}
    return interfaces.Manifest({"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts})


def pod(name: str, *images: str) -> interfaces.Manifest:
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    return made("v1", "Pod", name, spec={**PODS, "containers": containers})


def job(name: str, image: str) -> interfaces.Manifest:
    template = {"spec": {**PODS, "containers": [{"name": "c", "image": image}]}}
    return made("batch/v1", "Job", name, spec={"template": template})


def stateful(name: str, service: str) -> interfaces.Manifest:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "a"}]}}
    spec = {"serviceName": service, "selector": {"matchLabels": labels}, "template": template, "replicas": 0}
    return made("apps/v1", "StatefulSet", name, spec=spec)


def binding(name: str, role: str, **subject: str) -> interfaces.Manifest:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role}
    subjects = [{"kind": "ServiceAccount", "name": "default", "namespace": "default", **subject}]
    return made("rbac.authorization.k8s.io/v1", "RoleBinding", name, roleRef=reference, subjects=subjects)


def service(name: str, address: str, port: int) -> interfaces.Manifest:
    spec = {"type": "NodePort", "clusterIP": address, "ports": [{"port": 80, "nodePort": port}]}
    return made("v1", "Service", name, spec=spec)


def fixed(name: str, data: dict[str, str]) -> interfaces.Manifest:
    return made("v1", "ConfigMap", name, data=data, immutable=True)


def storage_class(name: str, disk: str) -> interfaces.Manifest:
    return made("storage.k8s.io/v1", "StorageClass", name, provisioner="example.com/disk", parameters={"disk": disk})


def attributes(name: str, disk: str) -> interfaces.Manifest:
    return made("storage.k8s.io/v1", "VolumeAttributesClass", name, driverName="example.com", parameters={"disk": disk})


class World:
    """Gadgets whose definition has a rule, and policies for those that are free of it."""

    def __init__(self, target: test_appliers.ClusterTarget, gadget: crds_.CustomKind) -> None:
        self.target, self.gadget = target, gadget

    def sized(self, name: str, size: int, **more: Any) -> interfaces.Manifest:
        return made(self.gadget.api_version, "Gadget", name, spec={"size": size, **more})

    def live(self, item: interfaces.Manifest) -> dict[str, Any]:
        kind = item.ref.kind.lower() + ("es" if item.ref.kind.endswith("s") else "s")
        core = item.ref.api_version == "v1"
        prefix = f"/api/{item.ref.api_version}" if core else f"/apis/{item.ref.api_version}"
        place = "" if item.ref.group == "storage.k8s.io" else f"/namespaces/{self.target.namespace}"
        found: dict[str, Any] = self.target.api.get(f"{prefix}{place}/{kind}/{item.ref.name}")
        return found

    def uid(self, item: interfaces.Manifest) -> str:
        return str(self.live(item)["metadata"]["uid"])

    @contextlib.contextmanager
    def policy(self, prefix: str, message: str) -> Iterator[None]:
        """Forbid changes of the size of gadgets whose names begin so."""
        path = self.gadget.path(self.target.namespace)
        name = f"{prefix}-probe"
        self.target.api.create(path, self.gadget.manifest(name, spec={"free": True, "size": 1}))
        allowed = f"!object.metadata.name.startsWith('{prefix}') || object.spec.size == oldObject.spec.size"
        with policies.denied(
            self.target.api,
            self.target.namespace,
            operations=["UPDATE"],
            resources=["gadgets"],
            group=self.gadget.group,
            allowed=allowed,
            message=message,
            reason="Forbidden",
            probe=lambda: self.target.api.patch(f"{path}/{name}", {"spec": {"size": 2}}, dryRun="All"),
        ):
            yield


@pytest.fixture
def world(target: test_appliers.ClusterTarget, make_crd: MakeCrd) -> World:
    return World(target, make_crd("Gadget", spec=SIZES))


async def until_settled(
    applier: interfaces.Applier,
    target: test_appliers.ClusterTarget,
    owner: interfaces.Resource,
    items: list[interfaces.Manifest],
) -> interfaces.Applied:
    async with asyncio.timeout(60):
        while True:
            found = await applier.apply(target.fresh(owner), fakes.manifests(*items))
            if not found.waiting:
                return found
            await asyncio.sleep(0.2)


def free_addresses(target: test_appliers.ClusterTarget) -> list[tuple[str, int]]:
    """Two cluster IPs and node ports that no Service has: other tests' Services have some, too."""
    found = []
    for name in ("one", "two"):
        spec = {"type": "NodePort", "ports": [{"port": 80}]}
        target.api.create(target.path("", "services").rstrip("/"), {"metadata": {"name": name}, "spec": spec})
        given = target.api.get(target.path(name, "services"))["spec"]
        found.append((given["clusterIP"], given["ports"][0]["nodePort"]))
    for name in ("one", "two"):
        target.api.delete(target.path(name, "services"))
    return found


async def test_whatever_cannot_be_changed_is_created_again(world: World) -> None:
    target = world.target
    owner, space = target.owner("web"), target.namespace
    addresses = free_addresses(target)

    def items(*, new: bool) -> list[interfaces.Manifest]:
        number = 2 if new else 1
        return [
            pod("pod", "a", "b") if new else pod("pod", "a"),
            job("job", f"image{number}"),
            stateful("set", f"service{number}"),
            binding("binding", f"role{number}"),
            service("service", addresses[number - 1][0], addresses[0][1]),
            fixed("fixed", {"v": str(number)}),
            storage_class(f"{space}-class", f"disk{number}"),
            attributes(f"{space}-attributes", f"disk{number}"),
            test_looking_after.deployment("d", image="a", selector={"matchLabels": {"app": "d"}}),
            world.sized("rule", number),
            world.sized("policy", number, free=True),
            world.sized("locked", number, free=True),
        ]

    with world.policy("policy", "spec.size is immutable"), world.policy("locked", "you may not change the size"):
        async with target.applier() as applier:
            made = await until_settled(applier, target, owner, items(new=False))
            assert not made.failed, [result.message for result in made.failed]
            before = {item.ref: world.uid(item) for item in items(new=False)}
            found = await until_settled(applier, target, owner, items(new=True))
            assert not found.failed, [result.message for result in found.failed]
            again = {item.ref.name for item in items(new=True) if world.uid(item) != before[item.ref]}
            assert again == {item.ref.name for item in items(new=True)} - {"d"}
            assert world.live(items(new=True)[4])["spec"]["clusterIP"] == addresses[1][0]
            assert world.live(items(new=True)[-1])["spec"]["size"] == 2
            assert await test_looking_after.settled(applier, target.fresh(owner), *items(new=True))


async def test_nothing_is_deleted_for_what_would_not_be_accepted(world: World) -> None:
    target = world.target
    owner = target.owner("web")
    before = [
        pod("pod", "a"),
        job("job", "a"),
        binding("binding", "role"),
        fixed("fixed", {"v": "1"}),
        world.sized("rule", 1),
        world.sized("freeze", 1, free=True),
    ]
    after = [
        pod("pod", "a", ""),
        made("batch/v1", "Job", "job", spec={"template": {"spec": {**PODS, "containers": []}}}),
        binding("binding", "another", kind="Nothing"),
        fixed("fixed", {"a key": "1"}),
        world.sized("rule", 11),
        world.sized("freeze", 2, free=True),
    ]
    with world.policy("freeze", "spec.size may not be changed until Monday"):
        async with target.applier() as applier:
            await until_settled(applier, target, owner, before)
            uids = [world.uid(item) for item in before]
            found = await applier.apply(target.fresh(owner), fakes.manifests(*after))
            assert [result.action for result in found.objects] == [Action.FAILED] * len(after)
            assert [world.uid(item) for item in before] == uids
            assert all("deletionTimestamp" not in world.live(item)["metadata"] for item in before)


async def test_the_way_out_is_told_where_it_is_one(world: World) -> None:
    target = world.target
    owner = target.owner("web")

    def plain(size: int) -> interfaces.Manifest:
        return interfaces.Manifest(
            {
                "apiVersion": world.gadget.api_version,
                "kind": "Gadget",
                "metadata": {"name": "g"},
                "spec": {"size": size},
            }
        )

    async with target.applier() as applier:
        await applier.apply(owner, fakes.manifests(plain(1)))
        (changed,) = (await applier.apply(target.fresh(owner), fakes.manifests(plain(2)))).objects
        (too_large,) = (await applier.apply(target.fresh(owner), fakes.manifests(plain(11)))).objects
    assert "size is set when it is made; it cannot be changed: delete the object" in changed.message
    assert "lostromos.dev/recreate" in changed.message
    assert "lostromos.dev/recreate" not in too_large.message
    assert world.uid(plain(1))
