"""What is promised about everything that is applied: kept through broken templates, and never beyond one's own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests import operators
from tests.chaos import actions, proxy
from tests.cluster.test_life import read
from tests.controlplane import errors, waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeCrd
    from tests.controlplane import api as apis
    from tests.controlplane import cluster, crds

APPLIERS = [{"server-side": {"finalizer": "always"}}, {"kubectl": {"finalizer": "always"}}]
MARKS = ("applyset.kubernetes.io/", "lostromos.dev/")


def data(api: apis.Api, namespace: str, name: str) -> dict[str, str]:
    found = read(api, namespace, name)
    return found.get("data", {}) if found else {}


@pytest.mark.parametrize("apply", APPLIERS, ids=["server-side", "kubectl"])
def test_drift_is_repaired_while_the_operator_runs(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str, apply: Any
) -> None:
    made = operators.project(tmp_path, crd, apply=apply)
    path = f"/api/v1/namespaces/{namespace}/configmaps/web"
    with operators.Operator(made, control_plane.kubeconfig):
        api.create(crd.path(namespace), crd.manifest("web", spec={"text": "one"}))
        waiting.wait_until(lambda: operators.is_ready(api.get(crd.path(namespace, "web"))))
        api.patch(path, {"data": {"text": "theirs"}})
        waiting.wait_until(lambda: data(api, namespace, "web") == {"text": "one"})
        api.delete(path)
        waiting.wait_until(lambda: data(api, namespace, "web") == {"text": "one"})


def test_an_unchanged_cluster_costs_no_write(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    made = operators.project(tmp_path, crd)
    plane = control_plane
    with operators.Operator(made, plane.kubeconfig):
        for number in range(10):
            api.create(crd.path(namespace), crd.manifest(f"web{number}", spec={"text": "one"}))
        waiting.wait_until(lambda: all(operators.is_ready(item) for item in api.list(crd.path(namespace))))
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as chaos:
        with operators.Operator(made, chaos.kubeconfig) as operator:
            operator.says("all resources are known", times=2)
            time.sleep(5)
            assert [(record.method, record.path) for record in chaos.writes()] == []


def test_a_template_that_breaks_takes_nothing_away(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    made = operators.project(tmp_path, crd, apply=APPLIERS[0])
    path = crd.path(namespace, "web")
    with operators.Operator(made, control_plane.kubeconfig):
        api.create(crd.path(namespace), crd.manifest("web", spec={"text": "one"}))
        waiting.wait_until(lambda: operators.is_ready(api.get(path)))
    made.template("config.yaml", operators.CONFIG_MAP.replace("resource.spec.text |", "resource.sepc.text |"))
    with operators.Operator(made, control_plane.kubeconfig):
        waiting.wait_until(lambda: operators.condition(api.get(path))["reason"] == "RenderFailed")
        assert "config.yaml:5" in operators.condition(api.get(path))["message"]
        assert data(api, namespace, "web") == {"text": "one"}
        api.delete(path)
        waiting.wait_until(lambda: not api.exists(path))
        assert read(api, namespace, "web") is None


# Kubernetes waits 5 seconds before it deletes what is in a namespace, and looks again after 5 to 8 more if a finalizer was left.
@pytest.mark.parametrize(("finalizer", "limit"), [("auto", 10), ("always", 20)])
def test_a_namespace_goes_with_all_that_is_in_it(
    tmp_path: Path,
    control_plane: cluster.ControlPlane,
    api: apis.Api,
    crd: crds.CustomKind,
    namespace: str,
    finalizer: str,
    limit: float,
) -> None:
    other = f"{namespace}-b"
    api.create("/api/v1/namespaces", {"metadata": {"name": other}})
    made = operators.project(tmp_path, crd, apply={"server-side": {"finalizer": finalizer}})
    with operators.Operator(made, control_plane.kubeconfig):
        for number in range(5):
            api.create(crd.path(other), crd.manifest(f"web{number}"))
        waiting.wait_until(lambda: all(operators.is_ready(item) for item in api.list(crd.path(other))))
        api.delete(f"/api/v1/namespaces/{other}")
        waiting.wait_until(lambda: not api.exists(f"/api/v1/namespaces/{other}"), timeout=limit)


def test_what_leaves_the_selection_is_released_also_while_nobody_watches(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    made = operators.project(tmp_path, crd, watch={"labels": "tier=web"}, apply=APPLIERS[0])
    with operators.Operator(made, control_plane.kubeconfig):
        for name in ("online", "offline", "stays"):
            api.create(crd.path(namespace), crd.manifest(name, labels={"tier": "web"}))
        waiting.wait_until(lambda: all(operators.is_ready(item) for item in api.list(crd.path(namespace))))
        api.patch(crd.path(namespace, "online"), {"metadata": {"labels": {"tier": "x"}}})
        waiting.wait_until(lambda: is_released(api, crd, namespace, "online"))
    api.patch(crd.path(namespace, "offline"), {"metadata": {"labels": {"tier": "x"}}})
    with operators.Operator(made, control_plane.kubeconfig):
        waiting.wait_until(lambda: is_released(api, crd, namespace, "offline"))
    # Now the namespace leaves the configuration.
    other = operators.project(tmp_path, crd, watch={"namespaces": ["default"]}, apply=APPLIERS[0])
    with operators.Operator(other, control_plane.kubeconfig):
        waiting.wait_until(lambda: is_released(api, crd, namespace, "stays"))


def is_released(api: apis.Api, crd: crds.CustomKind, namespace: str, name: str) -> bool:
    """Whether nothing of ours is left on a resource, nor of what was applied for it."""
    item = api.get(crd.path(namespace, name))
    keys = [*item["metadata"].get("labels", {}), *item["metadata"].get("annotations", {})]
    marked = any(key.startswith(MARKS) for key in keys) or item["metadata"].get("finalizers")
    return not marked and not item.get("status") and read(api, namespace, name) is None


def test_cleanup_lets_go_when_the_operator_is_gone(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    made = operators.project(tmp_path, crd, apply=APPLIERS[0])
    with operators.Operator(made, control_plane.kubeconfig):
        for name in ("a", "b"):
            api.create(crd.path(namespace), crd.manifest(name, spec={"text": "x"}))
        waiting.wait_until(lambda: all(operators.is_ready(item) for item in api.list(crd.path(namespace))))
    api.delete(crd.path(namespace, "a"))
    common = ("cleanup", f"--kubeconfig={control_plane.kubeconfig}", f"--kind=WebApp.{crd.group}", "-n", namespace)
    shown = operators.lostromos(*common, "--dry-run")
    assert (shown.returncode, "WebApp" in shown.stdout, api.exists(crd.path(namespace, "a"))) == (0, True, True)
    done = operators.lostromos(*common, "--yes", "--claimant=app")
    assert (done.returncode, "Released 2 of 2 resources." in done.stdout) == (0, True), done.stderr
    waiting.wait_until(lambda: not api.exists(crd.path(namespace, "a")))
    assert "finalizers" not in api.get(crd.path(namespace, "b"))["metadata"]
    assert data(api, namespace, "b") == {"text": "x"}
    assert operators.lostromos(*common, "--yes", "--delete-objects", "--claimant=other").stdout.startswith(
        "No resource"
    )
    with operators.Operator(made, control_plane.kubeconfig):
        waiting.wait_until(lambda: operators.is_ready(api.get(crd.path(namespace, "b"))))
        waiting.wait_until(lambda: "finalizers" in api.get(crd.path(namespace, "b"))["metadata"])
    asked = operators.lostromos(*common, "--delete-objects", stdin="n\n")
    assert (asked.returncode, data(api, namespace, "b")) == (1, {"text": "x"})
    done = operators.lostromos(*common, "--delete-objects", stdin="y\n")
    assert "Released 1 of 1 resource, 1 object deleted." in done.stdout
    assert read(api, namespace, "b") is None
    again = operators.lostromos(*common, "--yes")
    assert (again.returncode, "No resource" in again.stdout) == (0, True)
    wrong = operators.lostromos("cleanup", f"--kubeconfig={control_plane.kubeconfig}", "--kind=Nope")
    assert (wrong.returncode, "the cluster has no kind Nope" in wrong.stderr) == (2, True)


@pytest.mark.parametrize("finalizers", [[], ["lostromos.dev/cleanup"]], ids=["none", "ours"])
@pytest.mark.parametrize("selection", [{"annotation": "example.com/managed"}, {"labels": "tier=web"}], ids=str)
def test_a_resource_that_leaves_by_a_put_that_removes_our_marks_is_released(
    tmp_path: Path,
    control_plane: cluster.ControlPlane,
    api: apis.Api,
    crd: crds.CustomKind,
    namespace: str,
    selection: dict[str, str],
    finalizers: list[str],
) -> None:
    made = operators.project(tmp_path, crd, watch=selection, apply=APPLIERS[0])
    path = crd.path(namespace, "web")
    bare = crd.manifest("web", spec={"text": "one"})
    selected = crd.manifest("web", labels={"tier": "web"}, spec={"text": "one"})
    selected["metadata"]["annotations"] = {"example.com/managed": "true"}
    api.create(crd.path(namespace), selected)
    with operators.Operator(made, control_plane.kubeconfig) as operator:
        waiting.wait_until(lambda: operators.is_ready(api.get(path)))
        bare["metadata"] |= {"resourceVersion": api.get(path)["metadata"]["resourceVersion"], "finalizers": finalizers}
        api.replace(path, bare)
        waiting.wait_until(lambda: is_released(api, crd, namespace, "web"), message=operator.log)
        time.sleep(1)
        assert is_released(api, crd, namespace, "web")
        api.delete(path)
        waiting.wait_until(lambda: not api.exists(path))


def test_a_resource_that_leaves_before_anything_was_applied_says_nothing_any_more(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    broken = {"config.yaml": operators.CONFIG_MAP.replace("| default", "+ 1 | default")}
    made = operators.project(tmp_path, crd, watch={"annotation": "example.com/managed"}, templates=broken)
    path = crd.path(namespace, "web")
    item = crd.manifest("web", spec={"text": "one"})
    item["metadata"]["annotations"] = {"example.com/managed": "true"}
    api.create(crd.path(namespace), item)
    with operators.Operator(made, control_plane.kubeconfig):
        waiting.wait_until(lambda: operators.condition(api.get(path)).get("reason") == "RenderFailed")
        api.patch(path, {"metadata": {"annotations": None}})
        waiting.wait_until(lambda: is_released(api, crd, namespace, "web"))


def test_cleanup_leaves_orphans_and_finds_what_only_the_status_names(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    orphan = operators.CONFIG_MAP.replace('}}"}', '}}-kept", annotations: {lostromos.dev/on-delete: orphan}}')
    templates = {"config.yaml": operators.CONFIG_MAP, "orphan.yaml": orphan}
    made = operators.project(tmp_path, crd, apply=APPLIERS[0], templates=templates)
    path = crd.path(namespace, "web")
    api.create(crd.path(namespace), crd.manifest("web", spec={"text": "one"}))
    with operators.Operator(made, control_plane.kubeconfig):
        waiting.wait_until(lambda: operators.is_ready(api.get(path)))
    bare = crd.manifest("web", spec={"text": "one"})
    bare["metadata"] |= {
        "resourceVersion": api.get(path)["metadata"]["resourceVersion"],
        "finalizers": ["lostromos.dev/cleanup"],
    }
    api.replace(path, bare)
    common = (f"--kubeconfig={control_plane.kubeconfig}", f"--kind=WebApp.{crd.group}", "-n", namespace)
    done = operators.lostromos("cleanup", *common, "--yes", "--delete-objects")
    assert done.returncode == 0, done.stderr
    assert read(api, namespace, "web") is None
    assert data(api, namespace, "web-kept") == {"text": "one"}


def test_a_paused_resource_is_left_alone(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    made = operators.project(tmp_path, crd)
    path = crd.path(namespace, "web")
    with operators.Operator(made, control_plane.kubeconfig):
        api.create(crd.path(namespace), crd.manifest("web", spec={"text": "one"}))
        waiting.wait_until(lambda: operators.is_ready(api.get(path)))
        api.patch(path, {"metadata": {"annotations": {"lostromos.dev/pause": "true"}}, "spec": {"text": "two"}})
        waiting.wait_until(lambda: operators.condition(api.get(path))["reason"] == "Paused")
        assert operators.condition(api.get(path))["status"] == "Unknown"
        api.patch(f"/api/v1/namespaces/{namespace}/configmaps/web", {"data": {"text": "theirs"}})
        time.sleep(1)
        assert data(api, namespace, "web") == {"text": "theirs"}
        api.patch(path, {"metadata": {"annotations": {"lostromos.dev/pause": None}}})
        waiting.wait_until(lambda: data(api, namespace, "web") == {"text": "two"})


def test_failures_and_recoveries_are_told_in_events(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    text = operators.CONFIG_MAP.replace('| default("nothing")', "")
    made = operators.project(tmp_path, crd, templates={"config.yaml": text})
    path = crd.path(namespace, "web")
    events = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"

    def told() -> list[tuple[str, str]]:
        return [(item["type"], item["reason"]) for item in api.list(events) if item["regarding"]["kind"] == "WebApp"]

    with operators.Operator(made, control_plane.kubeconfig):
        api.create(crd.path(namespace), crd.manifest("web"))
        waiting.wait_until(lambda: told() == [("Warning", "RenderFailed")])
        api.patch(path, {"spec": {"text": "1"}})
        waiting.wait_until(lambda: ("Normal", "Applied") in told())
        api.patch(path, {"spec": {"text": "2"}})
        waiting.wait_until(lambda: data(api, namespace, "web") == {"text": "2"})
        waiting.wait_until(lambda: operators.is_ready(api.get(path)))
        assert len(told()) == 2


def test_a_ghost_is_not_made_of_a_resource_that_is_deleted_meanwhile(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    plane = control_plane
    made = operators.project(tmp_path, crd)
    path = crd.path(namespace, "web")
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as chaos:
        with operators.Operator(made, chaos.kubeconfig) as operator:
            operator.says("all resources are known")
            for late in (f"/{crd.plural}/web", "/status"):
                with chaos.add(actions.Delay(1.0), method="PATCH", path=late, times=1) as rule:
                    api.create(crd.path(namespace), crd.manifest("web"))
                    waiting.wait_until(lambda rule=rule: rule.applied)  # type: ignore[misc]
                    api.delete(path)
                    time.sleep(2)
                    assert not api.exists(path), late


def test_two_operators_do_not_share_a_resource(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = operators.project(tmp_path / "a", crd), operators.project(tmp_path / "b", crd)
    second.write({"controllers": [operators.controller(crd, name="second")]})
    with operators.Operator(first, control_plane.kubeconfig):
        api.create(crd.path(namespace), crd.manifest("web", spec={"text": "one"}))
        waiting.wait_until(lambda: operators.is_ready(api.get(crd.path(namespace, "web"))))
        with operators.Operator(second, control_plane.kubeconfig) as refused:
            refused.says("belongs to the controller 'app'")
    assert data(api, namespace, "web") == {"text": "one"}
    both = {"controllers": [operators.controller(crd, name=name) for name in ("one", "two")]}
    first.write(both)
    done = operators.lostromos("run", "--once", "-c", str(first.config), f"--kubeconfig={control_plane.kubeconfig}")
    assert done.returncode == 3
    assert "'one' and 'two' can select the same resource" in done.stderr.replace("\n", " ")


TWO = (
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{{ resource.metadata.name }}-b", namespace: "{{ vars.far }}"}\n'
)


def test_who_may_only_edit_resources_reaches_nothing_else(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, make_crd: MakeCrd, namespace: str
) -> None:
    """Forged ids, kinds, namespaces, and a PUT without any of our marks."""
    crd, far = make_crd(), f"{namespace}-far"
    api.create("/api/v1/namespaces", {"metadata": {"name": far}})
    bystander = {"metadata": {"name": "bystander", "labels": {"a": "b"}}, "data": {"k": "v"}}
    for place in (namespace, far):
        api.create(f"/api/v1/namespaces/{place}/configmaps", bystander)
    made = operators.project(
        tmp_path, crd, templates={"a.yaml": operators.CONFIG_MAP, "b.yaml": TWO}, vars={"far": far}
    )
    path = crd.path(namespace, "web")

    def look() -> list[Any]:
        return [read(api, place, "bystander") for place in (namespace, far)]

    before = look()
    with operators.Operator(made, control_plane.kubeconfig):
        for name in ("web", "other"):
            api.create(crd.path(namespace), crd.manifest(name, spec={"text": name}))
        waiting.wait_until(lambda: all(operators.is_ready(item) for item in api.list(crd.path(namespace))))
        other = api.get(crd.path(namespace, "other"))["metadata"]
        # The id of another resource, kinds and namespaces of all sorts.
        forged = forgery(other["labels"]["applyset.kubernetes.io/id"], far)
        api.patch(path, {"metadata": forged, "spec": {"text": "2"}})
        waiting.wait_until(lambda: data(api, namespace, "web") == {"text": "2"})
        waiting.wait_until(lambda: marked(api, path))
        # All marks and the finalizer, removed by a plain PUT.
        waiting.wait_until(lambda: strip(api, path))
        waiting.wait_until(lambda: marked(api, path))
        # The status, by whoever may write it: objects of others are listed as our own.
        resources = [
            {"apiVersion": "v1", "kind": "ConfigMap", "namespace": far, "name": "bystander", "action": "created"}
        ]
        api.patch(f"{path}/status", {"status": {"resources": resources}})
        api.patch(path, {"spec": {"text": "3"}})
        waiting.wait_until(lambda: data(api, namespace, "web") == {"text": "3"})
        api.patch(path, {"metadata": forged})
        api.delete(path)
        waiting.wait_until(lambda: not api.exists(path))
        waiting.wait_until(lambda: read(api, far, "web-b") is None)
    assert look() == before
    assert data(api, namespace, "other") == {"text": "other"}
    assert read(api, far, "other-b") is not None
    api.delete(f"/api/v1/namespaces/{far}")


def forgery(set_id: str, namespace: str) -> dict[str, Any]:
    """Metadata that claims another resource's set, and kinds and namespaces of all sorts."""
    return {
        "labels": {"applyset.kubernetes.io/id": set_id},
        "annotations": {
            "applyset.kubernetes.io/contains-group-kinds": "Secret,Node,Namespace,Nope.example.com,,..",
            "applyset.kubernetes.io/additional-namespaces": f"kube-system,../..,{namespace}",
        },
    }


def strip(api: apis.Api, path: str) -> bool:
    """PUT a resource without any of its marks; whether it had not been written in between, as by its operator."""
    bare = api.get(path)
    bare["metadata"] = {key: bare["metadata"][key] for key in ("name", "namespace", "resourceVersion")}
    try:
        api.replace(path, bare)
    except errors.ApiError as error:
        if error.status != 409:
            raise
        return False
    return True


def marked(api: apis.Api, path: str) -> bool:
    """Whether a resource carries all of its marks."""
    metadata = api.get(path)["metadata"]
    kinds = metadata.get("annotations", {}).get("applyset.kubernetes.io/contains-group-kinds", "")
    return (
        "ConfigMap" in kinds.split(",")
        and metadata.get("annotations", {}).get("lostromos.dev/controller") == "app"
        and metadata.get("finalizers") == ["lostromos.dev/cleanup"]
        and metadata["labels"]["applyset.kubernetes.io/id"].startswith("applyset-")
    )


def test_objects_of_an_owner_that_was_deleted_by_force_are_swept(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    far = f"{namespace}-far"
    api.create("/api/v1/namespaces", {"metadata": {"name": far}})
    made = operators.project(tmp_path, crd, templates={"b.yaml": TWO}, vars={"far": far})
    path = crd.path(namespace, "web")
    with operators.Operator(made, control_plane.kubeconfig):
        api.create(crd.path(namespace), crd.manifest("web"))
        api.create(crd.path(namespace), crd.manifest("stays"))
        waiting.wait_until(lambda: all(operators.is_ready(item) for item in api.list(crd.path(namespace))))
    api.patch(path, {"metadata": {"finalizers": None}})
    api.delete(path)
    with operators.Operator(made, control_plane.kubeconfig):
        waiting.wait_until(lambda: read(api, far, "web-b") is None, timeout=60)
        assert read(api, far, "stays-b") is not None
    with pytest.raises(errors.ApiError):
        api.get(path)
    api.delete(f"/api/v1/namespaces/{far}")


DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: "{{ resource.metadata.name }}"}
spec:
  selector: {matchLabels: {app: "{{ resource.metadata.name }}"}}
  template:
    metadata: {labels: {app: "{{ resource.metadata.name }}"}}
    spec: {containers: [{name: c, image: "{{ resource.spec.image }}"}]}
"""


def test_an_autoscaler_is_never_fought(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    plane = control_plane
    made = operators.project(tmp_path, crd, templates={"d.yaml": DEPLOYMENT})
    scale = f"/apis/apps/v1/namespaces/{namespace}/deployments/web/scale"
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as chaos:
        with operators.Operator(made, chaos.kubeconfig):
            api.create(crd.path(namespace), crd.manifest("web", spec={"image": "a"}))
            waiting.wait_until(lambda: operators.is_ready(api.get(crd.path(namespace, "web"))))
            chaos.reset_log()
            for number in range(60):
                api.patch(scale, {"spec": {"replicas": number % 3}})
                time.sleep(1)
            assert chaos.writes() == []
            api.patch(crd.path(namespace, "web"), {"spec": {"image": "b"}})
            waiting.wait_until(lambda: operators.is_ready(api.get(crd.path(namespace, "web"))))
    assert api.get(scale)["spec"]["replicas"] == 59 % 3
