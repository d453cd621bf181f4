"""What an object needs that only a later wave brings."""

from __future__ import annotations

from typing import Any

import pytest

from lostromos_core import interfaces
from lostromos_core.kube.kinds import discovery
from lostromos_kubectl.objects import desired_objects, needs
from tests import fakes

API = {
    "Deployment": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "Job": "batch/v1",
    "APIService": "apiregistration.k8s.io/v1", "StorageClass": "storage.k8s.io/v1",
}  # fmt: skip
CLUSTER = {"APIService", "StorageClass", "PersistentVolume"}


def made(kind: str, name: str, wave: int, *, namespace: str = "ns", **spec: Any) -> desired_objects.Desired:
    metadata: dict[str, Any] = {"name": name, "annotations": {"lostromos.dev/wave": str(wave)}}
    if kind not in CLUSTER:
        metadata["namespace"] = namespace
    api = API.get(kind, "v1")
    manifest = interfaces.Manifest({"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec})
    served = discovery.Kind(api, kind, f"{kind.lower()}s", kind not in CLUSTER, frozenset(), frozenset())
    return desired_objects.prepare(manifest, "a.yaml", fakes.resource("web"), served)


def pods(**spec: Any) -> dict[str, Any]:
    return {"template": {"spec": spec}}


VOLUME = {"volumes": [{"configMap": {"name": "x"}}]}
MAYBE = {"volumes": [{"configMap": {"name": "x", "optional": True}}]}


@pytest.mark.parametrize(
    ("kind", "spec", "other"),
    [
        ("Pod", VOLUME, "ConfigMap"),
        ("Deployment", pods(**VOLUME), "ConfigMap"),
        ("StatefulSet", pods(volumes=[{"secret": {"secretName": "x"}}]), "Secret"),
        ("DaemonSet", pods(volumes=[{"persistentVolumeClaim": {"claimName": "x"}}]), "PersistentVolumeClaim"),
        ("Job", pods(volumes=[{"projected": {"sources": [{"secret": {"name": "x"}}]}}]), "Secret"),
        ("Job", pods(containers=[{"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "x", "key": "k"}}}]}]), "Secret"),
        ("Pod", {"initContainers": [{"envFrom": [{"configMapRef": {"name": "x"}}]}]}, "ConfigMap"),
        ("Deployment", pods(serviceAccountName="x"), "ServiceAccount"),
        ("PersistentVolumeClaim", {"volumeName": "x"}, "PersistentVolume"),
        ("PersistentVolumeClaim", {"storageClassName": "x"}, "StorageClass"),
        ("APIService", {"service": {"name": "x", "namespace": "ns"}}, "Service"),
    ],
)  # fmt: skip
def test_what_only_a_later_wave_brings_is_named(kind: str, spec: dict[str, Any], other: str) -> None:
    item, needed = made(kind, "web", 1, **spec), made(other, "x", 3)
    said = needs.from_later(item, [item, needed])
    assert f"it needs {needed.ref}, which is only created in wave 3" in said


@pytest.mark.parametrize(
    ("spec", "other"),
    [
        (VOLUME, made("ConfigMap", "x", 1)),
        (VOLUME, made("ConfigMap", "x", 0)),
        (VOLUME, made("ConfigMap", "y", 3)),
        (VOLUME, made("Secret", "x", 3)),
        (VOLUME, made("ConfigMap", "x", 3, namespace="elsewhere")),
        (MAYBE, made("ConfigMap", "x", 3)),
        ({"volumes": "odd", "containers": [{"env": "odd"}, 3]}, made("ConfigMap", "x", 3)),
    ],
)
def test_nothing_else_is_named(spec: dict[str, Any], other: desired_objects.Desired) -> None:
    item = made("Pod", "web", 1, **spec)
    assert not needs.from_later(item, [item, other])
