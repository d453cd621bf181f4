"""A claim that waits for its first consumer keeps no wave waiting, and no resource from being ready; others do."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import interfaces
from tests import fakes
from tests.contract import test_looking_after

if TYPE_CHECKING:
    from tests.contract import test_appliers

Action = interfaces.Action
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
LATER = fakes.config_map("later", {})


def claim(name: str, **spec: Any) -> interfaces.Manifest:
    annotations = {"lostromos.dev/wave": "-1", **spec.pop("annotations", {})}
    body = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    metadata = {"name": name, "annotations": annotations}
    return interfaces.Manifest(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": body}
    )


@pytest.fixture
def classes(target: test_appliers.ClusterTarget) -> dict[str, str]:
    """Names of two StorageClasses, by the time at which they bind."""
    made = {mode: f"{mode.lower()}-{secrets.token_hex(3)}" for mode in ("WaitForFirstConsumer", "Immediate")}
    for mode, name in made.items():
        body = {"metadata": {"name": name}, "provisioner": "example.com/disk", "volumeBindingMode": mode}
        target.api.create(CLASSES, body)
    return made


async def test_a_wave_waits_for_claims_that_can_be_bound_without_it(
    target: test_appliers.ClusterTarget, classes: dict[str, str]
) -> None:
    late, at_once = classes["WaitForFirstConsumer"], classes["Immediate"]
    rows: dict[str, tuple[interfaces.Manifest, str]] = {
        "unused": (claim("unused", storageClassName=late), ""),
        "beta": (claim("beta", annotations={"volume.beta.kubernetes.io/storage-class": late}), ""),
        "chosen": (
            claim("chosen", storageClassName=late, annotations={"volume.kubernetes.io/selected-node": "n"}),
            "it is not bound yet",
        ),
        "at-once": (claim("at-once", storageClassName=at_once), "it is not bound yet"),
        "static": (claim("static", storageClassName=""), "it is not bound yet"),
        "named": (claim("named", storageClassName=late, volumeName="absent"), "it is not bound yet"),
        "lost": (claim("lost", storageClassName="nowhere"), "there is no StorageClass nowhere"),
    }
    owners = {name: target.owner(name) for name in rows}

    async def check(applier: interfaces.Applier, name: str) -> None:
        item, why = rows[name]
        later = fakes.config_map(f"{name}-later", {})
        found = await applier.apply(target.fresh(owners[name]), fakes.manifests(item, later))
        waiting = {result.ref.name: result.message for result in found.waiting}
        if why:
            assert why in waiting[f"{name}-later"], name
            assert target.data(f"{name}-later") is None
        else:
            assert waiting == {}, name
            assert target.data(f"{name}-later") == {}

    async with target.applier() as applier:
        await asyncio.gather(*(check(applier, name) for name in rows))


async def test_a_resource_is_ready_before_its_claim_is_used_and_not_while_that_is_bound(
    target: test_appliers.ClusterTarget, classes: dict[str, str]
) -> None:
    owner, sink = target.owner("web"), test_looking_after.Sink()
    item = claim("data", storageClassName=classes["WaitForFirstConsumer"])
    path = target.path("data", "persistentvolumeclaims")
    async with target.applier(wait=True, enqueue=sink) as applier:
        assert not (await applier.apply(owner, fakes.manifests(item, LATER))).waiting
        note = {"metadata": {"annotations": {"volume.kubernetes.io/selected-node": "n"}}}
        await asyncio.sleep(0.5)
        sink.rung.clear()
        target.api.patch(path, note)
        await sink.rings()
        (waiting,) = (await applier.apply(target.fresh(owner), fakes.manifests(item, LATER))).waiting
        assert waiting.message == "it is not bound yet"
        target.api.patch(f"{path}/status", {"status": {"phase": "Bound"}})
        await sink.rings()
        async with asyncio.timeout(30):
            while (await applier.apply(target.fresh(owner), fakes.manifests(item, LATER))).waiting:
                await asyncio.sleep(0.2)


async def test_a_wave_says_when_it_waits_for_what_only_a_later_one_brings(target: test_appliers.ClusterTarget) -> None:
    volume = {"name": "v", "configMap": {"name": "settings"}}
    container = {"name": "c", "image": "a"}
    spec = {"containers": [container], "volumes": [volume]}
    pod = interfaces.Manifest({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec})
    settings = fakes.config_map("settings", {}, annotations={"lostromos.dev/wave": "1"})
    async with target.applier() as applier:
        found = await applier.apply(target.owner("web"), fakes.manifests(pod, settings))
    (waiting,) = found.waiting
    assert "wave 1 waits for Pod" in waiting.message
    assert "it needs ConfigMap" in waiting.message
    assert "which is only created in wave 1: move it to wave 0 or earlier" in waiting.message


async def test_a_right_that_is_missing_is_told(target: test_appliers.ClusterTarget, classes: dict[str, str]) -> None:
    """The operator may do all that it needs, but not read StorageClasses."""
    rules = [{"apiGroups": ["", target.crd.group], "resources": ["*"], "verbs": ["*"]}]
    roles, name = "/apis/rbac.authorization.k8s.io/v1", f"{target.namespace}-claims"
    target.api.create(f"{roles}/clusterroles", {"metadata": {"name": name}, "rules": rules})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "operator"}]
    body = {"metadata": {"name": name}, "roleRef": reference, "subjects": subjects}
    target.api.create(f"{roles}/clusterrolebindings", body)
    try:
        item = claim("data", storageClassName=classes["WaitForFirstConsumer"])
        async with target.applier(kubeconfig=target.plane.kubeconfig_of("operator")) as applier:
            found = await applier.apply(target.owner("web"), fakes.manifests(item, LATER))
    finally:
        target.api.delete(f"{roles}/clusterrolebindings/{name}")
        target.api.delete(f"{roles}/clusterroles/{name}")
    (waiting,) = found.waiting
    assert "give the operator the verb get on storageclasses" in waiting.message
