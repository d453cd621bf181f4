"""The examples do what they say: rendered offline, and played on a real API server with nothing but their own rights."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests import operators
from tests.controlplane import binaries, errors, kubelet, waiting

if TYPE_CHECKING:
    from tests.controlplane import api as apis
    from tests.controlplane import cluster

EXAMPLE = Path(__file__).parents[2] / "examples" / "access-control"
WEBAPPS = "/apis/example.com/v1/namespaces/team-a/webapps"
PLURALS = {
    "ConfigMap": "/api/v1/namespaces/team-a/configmaps",
    "Secret": "/api/v1/namespaces/team-a/secrets",
    "ServiceAccount": "/api/v1/namespaces/team-a/serviceaccounts",
    "Service": "/api/v1/namespaces/team-a/services",
    "Deployment": "/apis/apps/v1/namespaces/team-a/deployments",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/team-a/poddisruptionbudgets",
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/team-a/ingresses",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/team-a/networkpolicies",
}


def expected() -> list[Any]:
    return list(yaml.safe_load_all((EXAMPLE / "expected.yaml").read_text()))


def test_access_control_renders_what_it_shows() -> None:
    done = operators.lostromos(
        "render", "-c", str(EXAMPLE / "lostromos.yaml"), "-f", str(EXAMPLE / "webapp.yaml"),
        "--objects", str(EXAMPLE / "cluster" / "2-platform.yaml"), "-o", "json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected()


def test_access_control_holds_on_a_cluster(control_plane: cluster.ControlPlane, api: apis.Api, tmp_path: Path) -> None:
    for _ in range(2):  # the second time finds the kind that the first time made
        done = _apply(control_plane, EXAMPLE)
    assert done.returncode == 0, done.stderr
    made = operators.Project(tmp_path)
    operator = operators.Operator(made, control_plane.kubeconfig_of("operator"))
    operator._command[3] = str(EXAMPLE / "lostromos.yaml")
    developer = api.as_user("developer")
    with operator:
        developer.create(WEBAPPS, yaml.safe_load((EXAMPLE / "webapp.yaml").read_text()))
        waiting.wait_until(lambda: operators.is_ready(developer.get(f"{WEBAPPS}/shop")))
        for wanted in expected():
            live = api.get(f"{PLURALS[wanted['kind']]}/{wanted['metadata']['name']}")
            assert contains(live, without_string_data(wanted)), wanted["kind"]
            with pytest.raises(errors.ApiError) as caught:
                developer.get(f"{PLURALS[wanted['kind']]}/{wanted['metadata']['name']}")
            assert caught.value.status == 403
            with pytest.raises(errors.ApiError):
                developer.create(PLURALS[wanted["kind"]], {"metadata": {"name": "mine"}})
        developer.patch(f"{WEBAPPS}/shop", {"spec": {"size": "large"}})
        waiting.wait_until(lambda: operators.is_ready(developer.get(f"{WEBAPPS}/shop")))
        assert api.exists("/apis/autoscaling/v2/namespaces/team-a/horizontalpodautoscalers/shop")
        developer.delete(f"{WEBAPPS}/shop")
        waiting.wait_until(lambda: not any(api.exists(f"{path}/shop") for path in PLURALS.values()), timeout=60)
    assert "forbidden" not in operator.log


MONITOR = EXAMPLE.parent / "app-and-monitor"


def test_app_and_monitor_renders_what_it_shows() -> None:
    done = operators.lostromos(
        "render", "-c", str(MONITOR / "lostromos.yaml"), "-f", str(MONITOR / "app.yaml"),
        "--objects", str(MONITOR / "service.yaml"), "-o", "json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == list(yaml.safe_load_all((MONITOR / "expected.yaml").read_text()))


def test_app_and_monitor_waits_completes_and_follows(
    control_plane: cluster.ControlPlane, api: apis.Api, namespace: str, tmp_path: Path
) -> None:
    assert _apply(control_plane, MONITOR).returncode == 0
    operator = operators.Operator(operators.Project(tmp_path), control_plane.kubeconfig_of("operator"))
    operator._command[3] = str(MONITOR / "lostromos.yaml")
    apps, core = f"/apis/example.com/v1/namespaces/{namespace}/monitoredapps", f"/api/v1/namespaces/{namespace}"
    app = yaml.safe_load((MONITOR / "app.yaml").read_text())
    del app["metadata"]["namespace"]

    def ready() -> dict[str, Any]:
        conditions = api.get(f"{apps}/shop").get("status", {}).get("conditions", [])
        return next((one for one in conditions if one["type"] == "Ready"), {})

    def checks() -> str:
        path = f"{core}/configmaps/shop-uptime"
        return str(api.get(path)["data"]["checks.yml"]) if api.exists(path) else ""

    with operator:
        waiting.wait_until(lambda: _try(lambda: api.create(apps, app)), timeout=30)
        waiting.wait_until(lambda: ready().get("reason") == "Waiting", timeout=30)
        waiting.wait_until(lambda: api.exists(f"{core}/configmaps/shop-monitor"))
        address = api.get(f"{core}/services/shop")["spec"]["clusterIP"]
        assert f"{address}:80" in api.get(f"{core}/configmaps/shop-monitor")["data"]["prometheus.yml"]
        # It waits for the Service first, and then for its address.
        waiting.wait_until(lambda: "status.loadBalancer.ingress" in ready()["message"])
        assert "Service" in ready()["message"]
        assert checks() == ""
        for ip in ("192.0.2.7", "192.0.2.8"):
            status = {"status": {"loadBalancer": {"ingress": [{"ip": ip}]}}}
            api.patch(f"{core}/services/shop/status", status)
            waiting.wait_until(lambda ip=ip: ip in checks())  # type: ignore[misc]
            waiting.wait_until(lambda: operators.is_ready(api.get(f"{apps}/shop")))
            waiting.wait_until(lambda ip=ip: api.get(f"{apps}/shop")["status"].get("address") == f"http://{ip}/")  # type: ignore[misc]
        api.patch(f"{core}/services/shop/status", {"status": {"loadBalancer": {"ingress": None}}})
        waiting.wait_until(lambda: ready().get("reason") == "Waiting")
        assert "192.0.2.8" in checks(), "what was applied stays while its template waits"
        api.delete(f"{apps}/shop")
        waiting.wait_until(lambda: not api.exists(f"{core}/configmaps/shop-uptime"), timeout=30)
    assert "forbidden" not in operator.log


SHOP = EXAMPLE.parent / "helm-release"


def test_helm_release_holds_on_a_cluster(
    control_plane: cluster.ControlPlane, api: apis.Api, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing but the operator's own rights, and Helm on PATH."""
    folder = tmp_path / "example"
    shutil.copytree(SHOP, folder)
    assert _apply(control_plane, folder).returncode == 0
    monkeypatch.setenv("PATH", f"{binaries.helm3().parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    operator = operators.Operator(operators.Project(folder), control_plane.kubeconfig_of("operator"))
    path, core = f"/apis/example.com/v1/namespaces/{namespace}/shops", f"/api/v1/namespaces/{namespace}"
    shop = yaml.safe_load((folder / "shop.yaml").read_text())
    del shop["metadata"]["namespace"]

    def release() -> dict[str, Any]:
        found: dict[str, Any] = (api.get(f"{path}/books").get("status") or {}).get("release") or {}
        return found

    def is_ready() -> bool:
        kubelet.run_pods(api, namespace)
        return operators.is_ready(api.get(f"{path}/books"))

    with operator:
        waiting.wait_until(lambda: _try(lambda: api.create(path, shop)), timeout=30)
        waiting.wait_until(is_ready, timeout=60)
        assert (release()["revision"], release()["notes"]) == (1, "shop-books says: Books: {{ all of them }}")
        assert api.get(f"{core}/configmaps/shop-books")["data"] == {"greeting": "Books: {{ all of them }}"}
        deployments = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        container = api.get(f"{deployments}/shop-books")["spec"]["template"]["spec"]["containers"][0]
        assert container["image"] == "registry.example.com/shops/shop:2.4"
        api.patch(f"{deployments}/shop-books/scale", {"spec": {"replicas": 3}})
        api.delete(f"{core}/services/shop-books")
        waiting.wait_until(lambda: api.exists(f"{core}/services/shop-books"))
        waiting.wait_until(is_ready, timeout=60)
        assert api.get(f"{deployments}/shop-books")["spec"]["replicas"] == 3, "an autoscaler may change them"
        assert release()["revision"] == 1
        api.patch(f"{path}/books", {"spec": {"greeting": "x" * 150}})
        says = "values.greeting: string length must be less than or equal to 100 (from resource.spec.greeting"
        waiting.wait_until(lambda: says in operators.condition(api.get(f"{path}/books"))["message"], timeout=30)
        api.patch(f"{path}/books", {"spec": {"greeting": "hello", "size": "large"}})
        waiting.wait_until(lambda: release().get("revision") == 2, timeout=30)
        waiting.wait_until(is_ready, timeout=60)
        api.delete(f"{path}/books")
        waiting.wait_until(lambda: not api.exists(f"{path}/books"), timeout=60)
        assert not api.exists(f"{core}/configmaps/shop-books")
    assert "forbidden" not in operator.log


def _apply(control_plane: cluster.ControlPlane, example: Path) -> subprocess.CompletedProcess[str]:
    """What the README of an example tells the administrator to apply."""
    kubectl = binaries.kubectl()
    assert kubectl is not None
    apply = [str(kubectl), f"--kubeconfig={control_plane.kubeconfig}", "apply", "-f", str(example / "cluster")]
    return subprocess.run(apply, capture_output=True, text=True, check=False)


def _try(create: Any) -> bool:
    """Whether it could be done: a definition that was just applied is not served at once."""
    try:
        create()
    except errors.ApiError as error:
        if error.status not in {404, 429}:
            raise
        return False
    return True


def without_string_data(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != "stringData"}


def contains(live: Any, wanted: Any) -> bool:
    """Whether everything that is wanted is there; the server adds defaults."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(
            key in live and contains(live[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return len(live) == len(wanted) and all(contains(a, b) for a, b in zip(live, wanted, strict=True))
    return bool(live == wanted)
