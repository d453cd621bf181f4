"""Which Jobs have run is remembered where the inventory of a resource is, and goes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lostromos_core import interfaces
from lostromos_core.kube import cluster as clusters
from lostromos_core.kube.ownership import config_maps, inventory
from lostromos_core.kube.transport import client

if TYPE_CHECKING:
    from tests.controlplane import api as apis
    from tests.controlplane import cluster, crds

NAMES = ["0a1b2c3d4e5f", "ffffffffffff"]


async def test_on_the_resource_itself(
    control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    made = api.create(crd.path(namespace), crd.manifest("web", annotations={"a": "b"}))
    ref = interfaces.ObjectRef(crd.api_version, crd.kind, namespace, "web")

    def owner() -> interfaces.Resource:
        return interfaces.Resource(
            f"{namespace}/web", ref, made["metadata"]["uid"], api.get(crd.path(namespace, "web"))
        )

    async with clusters.Cluster(client.Client(str(control_plane.kubeconfig))) as kube:
        kept = inventory.ParentInventory(interfaces.Runtime("app", kube, lambda _: None), finalizer="auto")
        await kept.claim(owner(), [("", "ConfigMap")], [], finalizer=True)
        assert list(kept.ran(owner())) == []
        await kept.remember_ran(owner(), NAMES)
        assert list(kept.ran(owner())) == NAMES
        await kept.claim(owner(), [("", "Secret"), ("", "ConfigMap")], [], finalizer=True)
        assert list(kept.ran(owner())) == NAMES, "other marks leave it alone"
        await kept.remember_ran(owner(), NAMES[:1])
        assert list(kept.ran(owner())) == NAMES[:1]
        await kept.release(owner())
        assert owner().metadata["annotations"] == {"a": "b"}


async def test_in_a_config_map(control_plane: cluster.ControlPlane, api: apis.Api, namespace: str) -> None:
    owner = interfaces.Resource("one", interfaces.ObjectRef("example.com/v1", "Site", "", "one"), "", {"metadata": {}})
    async with clusters.Cluster(client.Client(str(control_plane.kubeconfig))) as kube:
        runtime = interfaces.Runtime("app", kube, lambda _: None)
        kept = config_maps.ConfigMapInventory(runtime, namespace)
        await kept.remember_ran(owner, NAMES)
        assert list(kept.ran(owner)) == [], "there is nothing to write on"
        await kept.claim(owner, [("", "ConfigMap")], [namespace], finalizer=True)
        await kept.remember_ran(owner, NAMES)
        await kept.claim(owner, [("", "Secret")], [namespace], finalizer=True)
        later = config_maps.ConfigMapInventory(runtime, namespace)
        assert await later.recall("one") is not None
        assert list(later.ran(owner)) == NAMES
        await later.release(owner)
        assert api.list(f"/api/v1/namespaces/{namespace}/configmaps", labelSelector="applyset.kubernetes.io/id") == []
