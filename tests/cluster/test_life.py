"""The life of a resource, from outside: what ``lostromos run`` makes of it on a real API server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests import operators
from tests.controlplane import crds, errors, waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeCrd
    from tests.controlplane import api as apis
    from tests.controlplane import cluster

APPLIERS = [{"server-side": {"finalizer": "always"}}, {"kubectl": {"finalizer": "always"}}]
"""With finalizers, since the garbage collector looks for new kinds only every 30 seconds."""


def read(api: apis.Api, namespace: str, name: str) -> dict[str, Any] | None:
    """A ConfigMap, None if there is none."""
    try:
        found: dict[str, Any] = api.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
    except errors.ApiError as error:
        if error.status != 404:
            raise
        return None
    return found


def text_of(api: apis.Api, namespace: str, name: str) -> str | None:
    found = read(api, namespace, name)
    return None if found is None else found["data"]["text"]


@pytest.mark.parametrize("apply", APPLIERS, ids=["server-side", "kubectl"])
def test_a_resource_is_created_updated_and_cleaned_up(
    apply: dict[str, Any],
    tmp_path: Path,
    control_plane: cluster.ControlPlane,
    api: apis.Api,
    crd: crds.CustomKind,
    namespace: str,
) -> None:
    made = operators.project(tmp_path, crd, apply=apply)
    path = crd.path(namespace, "web")
    with operators.Operator(made, control_plane.kubeconfig):
        api.create(crd.path(namespace), crd.manifest("web", spec={"text": "one"}))
        waiting.wait_until(lambda: operators.is_ready(api.get(path)))
        assert text_of(api, namespace, "web") == "one"
        api.patch(path, {"spec": {"text": "two"}})
        waiting.wait_until(lambda: text_of(api, namespace, "web") == "two")
        waiting.wait_until(lambda: operators.is_ready(api.get(path)))
        resources = api.get(path)["status"]["resources"]
        assert [(item["kind"], item["name"], item["action"]) for item in resources] == [("ConfigMap", "web", "updated")]
        api.delete(path)
        waiting.wait_until(lambda: not api.exists(path))
        assert read(api, namespace, "web") is None


def test_without_a_finalizer_garbage_collection_cleans_up(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    made = operators.project(tmp_path, crd)
    path = crd.path(namespace, "web")
    with operators.Operator(made, control_plane.kubeconfig):
        api.create(crd.path(namespace), crd.manifest("web"))
        waiting.wait_until(lambda: operators.is_ready(api.get(path)))
        assert "finalizers" not in api.get(path)["metadata"]
        api.delete(path)
        waiting.wait_until(lambda: read(api, namespace, "web") is None, timeout=90)


def test_a_second_look_writes_nothing(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    made = operators.project(tmp_path, crd)
    api.create(crd.path(namespace), crd.manifest("web", spec={"text": "one"}))
    with operators.Operator(made, control_plane.kubeconfig):
        waiting.wait_until(lambda: operators.is_ready(api.get(crd.path(namespace, "web"))))
        version = api.get(crd.path(namespace, "web"))["metadata"]["resourceVersion"]
        child = (read(api, namespace, "web") or {})["metadata"]["resourceVersion"]
        api.patch(crd.path(namespace, "web"), {"metadata": {"labels": {"unimportant": "yes"}}})
        with pytest.raises(TimeoutError):
            waiting.wait_until(
                lambda: (read(api, namespace, "web") or {})["metadata"]["resourceVersion"] != child, timeout=1.5
            )
        after = api.get(crd.path(namespace, "web"))
        assert after["metadata"]["resourceVersion"] != version  # our own patch, and no other
        assert [f["manager"] for f in after["metadata"]["managedFields"]].count("lostromos/app/status") == 1


def test_the_annotation_filter_makes_entering_a_create_and_leaving_a_delete(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    made = operators.project(tmp_path, crd, watch={"annotation": "example.com/managed"})
    path = crd.path(namespace, "web")
    api.create(crd.path(namespace), crd.manifest("web"))
    with operators.Operator(made, control_plane.kubeconfig) as operator:
        operator.says("all resources are known")
        assert read(api, namespace, "web") is None
        api.patch(path, {"metadata": {"annotations": {"example.com/managed": "true"}}})
        waiting.wait_until(lambda: read(api, namespace, "web"))
        waiting.wait_until(lambda: operators.is_ready(api.get(path)))
        api.patch(path, {"metadata": {"annotations": {"example.com/managed": None}}})
        waiting.wait_until(lambda: read(api, namespace, "web") is None)
        waiting.wait_until(
            lambda: "lostromos.dev/controller" not in (api.get(path)["metadata"].get("annotations") or {})
        )
        api.patch(path, {"metadata": {"annotations": {"example.com/managed": "false"}}})
        api.patch(path, {"metadata": {"annotations": {"example.com/managed": "yes"}}})
        waiting.wait_until(lambda: read(api, namespace, "web"))


def test_a_resource_that_leaves_the_label_selector_is_released(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    made = operators.project(tmp_path, crd, watch={"labels": "tier=web"})
    path = crd.path(namespace, "web")
    api.create(crd.path(namespace), crd.manifest("web", labels={"tier": "web"}))
    with operators.Operator(made, control_plane.kubeconfig):
        waiting.wait_until(lambda: operators.is_ready(api.get(path)))
        api.patch(path, {"metadata": {"labels": {"tier": "other"}}})
        waiting.wait_until(lambda: read(api, namespace, "web") is None)
        waiting.wait_until(
            lambda: "lostromos.dev/controller" not in (api.get(path)["metadata"].get("annotations") or {})
        )
        assert api.exists(path)


def test_only_the_named_namespaces_are_watched(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    made = operators.project(tmp_path, crd, watch={"namespaces": [namespace]})
    api.create(crd.path("default"), crd.manifest(f"not-{namespace}"))
    with operators.Operator(made, control_plane.kubeconfig):
        api.create(crd.path(namespace), crd.manifest("web"))
        waiting.wait_until(lambda: operators.is_ready(api.get(crd.path(namespace, "web"))))
    assert read(api, "default", f"not-{namespace}") is None


def test_cluster_scoped_resources_own_objects_in_namespaces(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, make_crd: MakeCrd, namespace: str
) -> None:
    kind = make_crd("Tenant", namespaced=False)
    text = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{{ resource.metadata.name }}", namespace: "{{ resource.spec.to }}"}\ndata: {text: "x"}\n'
    made = operators.project(tmp_path, kind, templates={"a.yaml": text}, apply={"server-side": {"finalizer": "always"}})
    with operators.Operator(made, control_plane.kubeconfig):
        api.create(kind.path(), kind.manifest("web", spec={"to": namespace}))
        waiting.wait_until(lambda: text_of(api, namespace, "web") == "x")
        api.delete(kind.path(name="web"))
        waiting.wait_until(lambda: not api.exists(kind.path(name="web")))
        assert read(api, namespace, "web") is None


def test_children_in_other_namespaces_are_deleted_before_their_owner_goes(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    other = f"{namespace}-b"
    api.create("/api/v1/namespaces", {"metadata": {"name": other}})
    text = (
        f'apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: "{{{{ resource.metadata.name }}}}", namespace: {other}}}\n'
    )
    made = operators.project(tmp_path, crd, templates={"a.yaml": text})
    path = crd.path(namespace, "web")
    with operators.Operator(made, control_plane.kubeconfig):
        api.create(crd.path(namespace), crd.manifest("web"))
        waiting.wait_until(lambda: operators.is_ready(api.get(path)))
        assert api.get(path)["metadata"]["finalizers"] == ["lostromos.dev/cleanup"]
        api.delete(path)
        waiting.wait_until(lambda: not api.exists(path))
        assert read(api, other, "web") is None
    api.delete(f"/api/v1/namespaces/{other}")


def test_several_controllers_share_a_process_and_a_failing_one_harms_nobody(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, make_crd: MakeCrd, namespace: str
) -> None:
    first, second, absent = make_crd("WebApp"), make_crd("Job"), make_crd("Gone")
    crds.delete(api, absent.definition_name)
    crds.wait_gone(api, absent)
    made = operators.project(tmp_path, first)
    kinds = {"one": first, "two": second, "three": absent}
    made.write({"controllers": [operators.controller(kind, name=name) for name, kind in kinds.items()]})
    with operators.Operator(made, control_plane.kubeconfig) as operator:
        api.create(first.path(namespace), first.manifest("a"))
        api.create(second.path(namespace), second.manifest("b"))
        waiting.wait_until(lambda: operators.is_ready(api.get(first.path(namespace, "a"))))
        waiting.wait_until(lambda: operators.is_ready(api.get(second.path(namespace, "b"))))
        operator.says("the cluster has no kind Gone")


def test_an_error_says_the_line_of_the_template_and_the_field_of_the_resource(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    service = (
        'apiVersion: v1\nkind: Service\nmetadata: {name: "{{ resource.metadata.name }}"}\nspec:\n'
        "  ports:\n    - name: http\n      port: {{ resource.spec.port }}\n"
    )
    made = operators.project(tmp_path, crd, templates={"service.yaml": service})
    api.create(crd.path(namespace), crd.manifest("web", spec={"port": 99999}))
    with operators.Operator(made, control_plane.kubeconfig):
        path = crd.path(namespace, "web")
        waiting.wait_until(lambda: operators.condition(api.get(path), "Stalled").get("status") == "True")
        message = operators.condition(api.get(path), "Stalled")["message"]
        assert "templates/service.yaml:7: " in message
        assert "spec.ports[0].port: " in message
        assert "(from resource.spec.port)" in message
        api.patch(crd.path(namespace, "web"), {"spec": {"port": "eighty"}})
        waiting.wait_until(
            lambda: "expected numeric" in operators.condition(api.get(crd.path(namespace, "web"))).get("message", "")
        )
        api.patch(crd.path(namespace, "web"), {"spec": {"port": 80}})
        waiting.wait_until(lambda: operators.is_ready(api.get(crd.path(namespace, "web"))))


@pytest.mark.parametrize(
    "options",
    [
        {"status": None},
        {"status_subresource": False},
        {"status": {"type": "object", "properties": {"observedGeneration": {"type": "integer"}}}},
    ],
)
def test_a_kind_with_little_status_works_and_what_is_missing_is_said(
    options: dict[str, Any],
    tmp_path: Path,
    control_plane: cluster.ControlPlane,
    api: apis.Api,
    make_crd: MakeCrd,
    namespace: str,
) -> None:
    kind = make_crd("Plain", **options)
    made = operators.project(tmp_path, kind)
    api.create(kind.path(namespace), kind.manifest("web", spec={"text": "one"}))
    with operators.Operator(made, control_plane.kubeconfig) as operator:
        waiting.wait_until(lambda: text_of(api, namespace, "web") == "one")
        operator.says("status")
        assert "could not be written" not in operator.log
        if options.get("status"):
            waiting.wait_until(lambda: api.get(kind.path(namespace, "web")).get("status") == {"observedGeneration": 1})
