"""What a release leaves when its Secrets go before the resource: it is found by what the objects say themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests import operators
from tests.controlplane import errors, waiting

if TYPE_CHECKING:
    from tests.helm.conftest import World

RBAC = "/apis/rbac.authorization.k8s.io/v1"
CHART = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}"}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "{{ .Release.Namespace }}-{{ .Release.Name }}"}
rules: []
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "{{ .Release.Namespace }}-{{ .Release.Name }}", annotations: {helm.sh/resource-policy: keep}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: nothing}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: "{{ .Release.Namespace }}-{{ .Release.Name }}"}
value: 1
---
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Namespace }}-{{ .Release.Name }}", namespace: default}
---
apiVersion: v1
kind: Service
metadata: {name: "{{ .Release.Namespace }}-{{ .Release.Name }}", namespace: kube-public}
spec: {clusterIP: None, ports: [{port: 80}]}
"""


def paths(world: World, name: str) -> dict[str, bool]:
    """Objects outside of the namespace, and whether they have to go."""
    release = f"{world.namespace}-app-{name}"
    return {
        f"{RBAC}/clusterroles/{release}": True,
        f"{RBAC}/clusterrolebindings/{release}": False,
        f"/apis/scheduling.k8s.io/v1/priorityclasses/{release}": True,
        f"/api/v1/namespaces/default/configmaps/{release}": True,
        f"/api/v1/namespaces/kube-public/services/{release}": True,
    }


def project(world: World, **options: Any) -> operators.Project:
    made = world.project(**options)
    for path in (world.chart / "templates").iterdir():
        path.unlink()
    (world.chart / "templates" / "all.yaml").write_text(CHART)
    return made


def drop_secrets(world: World, name: str) -> None:
    """Delete a release's Secrets, as the end of its namespace does."""
    for one in world.api.list(f"/api/v1/namespaces/{world.namespace}/secrets", labelSelector=f"name=app-{name}"):
        world.api.delete(f"/api/v1/namespaces/{world.namespace}/secrets/{one['metadata']['name']}")


def clean_up(world: World, *names: str) -> None:
    for name in names:
        for path in paths(world, name):
            if world.api.exists(path):
                world.api.delete(path)


@pytest.mark.parametrize("running", [True, False], ids=["running", "restarted"])
def test_a_deleted_namespace_takes_along_what_releases_made_elsewhere(world: World, running: bool) -> None:
    with operators.Operator(project(world), world.plane.kubeconfig) as operator:
        world.create("one")
        waiting.wait_until(lambda: world.is_ready("one"))
        if not running:
            operator.stop()
        world.api.delete(f"/api/v1/namespaces/{world.namespace}")
        if not running:
            secrets = f"/api/v1/namespaces/{world.namespace}/secrets"
            waiting.wait_until(lambda: not world.api.list(secrets), timeout=60)
            operator.start()
        waiting.wait_until(lambda: not world.api.exists(world.path("one")), timeout=60)
        assert {path: not world.api.exists(path) for path in paths(world, "one")} == paths(world, "one")
    clean_up(world, "one")


def test_secrets_that_somebody_deleted_are_no_reason_to_leave_anything(world: World) -> None:
    """Also what is in the namespace, and nothing of others; ``orphan`` leaves all of it."""
    foreign = {
        "metadata": {
            "name": f"{world.namespace}-foreign",
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {
                "meta.helm.sh/release-name": "app-other",
                "meta.helm.sh/release-namespace": world.namespace,
            },
        }
    }
    path = f"/api/v1/namespaces/default/configmaps/{foreign['metadata']['name']}"
    world.api.create("/api/v1/namespaces/default/configmaps", foreign)
    with operators.Operator(project(world), world.plane.kubeconfig) as operator:
        for name in ("one", "forged"):
            world.create(name)
        waiting.wait_until(lambda: world.is_ready("one") and world.is_ready("forged"))
        operator.stop()
        for name in ("one", "forged"):
            drop_secrets(world, name)
        hint = {
            "applyset.kubernetes.io/contains-group-kinds": "ConfigMap,Secret,Nothing.example.com,Pod,Lease.coordination.k8s.io"
        }
        world.api.patch(world.path("forged"), {"metadata": {"annotations": hint}})
        for name in ("one", "forged"):
            world.api.delete(world.path(name))
        operator.start()
        waiting.wait_until(
            lambda: not any(world.api.exists(world.path(name)) for name in ("one", "forged")), timeout=60
        )
        assert {path: not world.api.exists(path) for path in paths(world, "one")} == paths(world, "one")
        assert (world.data("app-one"), world.data("app-forged")) == (None, None)
        assert world.api.exists(path)
    world.api.delete(path)
    clean_up(world, "one", "forged")


def test_what_is_released_stays(world: World) -> None:
    with operators.Operator(project(world, onDelete="orphan"), world.plane.kubeconfig) as operator:
        world.create("one")
        waiting.wait_until(lambda: world.is_ready("one"))
        operator.stop()
        drop_secrets(world, "one")
        world.api.delete(world.path("one"))
        operator.start()
        waiting.wait_until(lambda: not world.api.exists(world.path("one")), timeout=60)
        assert all(map(world.api.exists, paths(world, "one")))
    clean_up(world, "one")


def test_where_to_look_is_written_once(world: World) -> None:
    with operators.Operator(project(world), world.plane.kubeconfig) as operator:
        world.create("one")
        waiting.wait_until(lambda: world.is_ready("one"))
        wanted = "ClusterRole.rbac.authorization.k8s.io,ClusterRoleBinding.rbac.authorization.k8s.io,ConfigMap"
        hint = "applyset.kubernetes.io/contains-group-kinds"
        waiting.wait_until(
            lambda: (
                world.resource("one")["metadata"]["annotations"][hint]
                == f"{wanted},PriorityClass.scheduling.k8s.io,Service"
            )
        )
        assert "warning" not in operator.log
        before = world.resource("one")["metadata"]
        operator.stop()
        operator.start()
        waiting.wait_until(lambda: world.data("app-one") is not None)
        world.api.delete(world.map_path("app-one"))
        waiting.wait_until(lambda: world.data("app-one") is not None, message="it was looked after")
        after = world.resource("one")["metadata"]
        assert (before["annotations"], before["managedFields"][0]) == (after["annotations"], after["managedFields"][0])
        world.api.delete(world.path("one"))
        waiting.wait_until(lambda: not world.api.exists(world.path("one")))
    with pytest.raises(errors.ApiError):
        world.api.get(f"{RBAC}/clusterroles/{world.namespace}-app-one")
    clean_up(world, "one")
