"""What template authors write and see, on a real API server: idioms from elsewhere arrive, and each failure has its place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests import operators

if TYPE_CHECKING:
    from pathlib import Path

    from tests.controlplane import api as apis
    from tests.controlplane import cluster, crds

HEAD = "apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\n"
FAILING = {
    "a-map.yaml": (HEAD.format(kind="ConfigMap", name="a") + "data:\n  x: {{ {'a': 1} }}\n", 6),
    "b-int.yaml": (
        HEAD.format(kind="Pod", name="b")
        + "spec:\n  containers:\n  - name: main\n    image: x\n    env:\n    - name: A\n      value: {{ 7 }}\n",
        11,
    ),
    "c-unknown.yaml": (HEAD.format(kind="Service", name="c") + "spec:\n  prts: []\n", 6),
    "d-port.yaml": (
        HEAD.format(kind="Service", name="d")
        + "spec:\n  ports:\n  - {name: a, port: 80}\n  - {name: b, port: 99999}\n",
        8,
    ),
    "e-name.yaml": (HEAD.format(kind="ConfigMap", name="'No Name'"), 4),
    "f-labels.yaml": (
        HEAD.format(kind="ServiceAccount", name="f") + "  labels:\n    a: 1\n    {{ {'b': 'a b'} }}\n",
        6,
    ),
}
GOOD = {
    "a.yaml": "{% set kind = 'Role' if resource.spec.text else 'ClusterRole' %}\napiVersion: rbac.authorization.k8s.io/v1\nkind: {{ kind }}\nmetadata: {name: a}\nrules:\n  - apiGroups: ['']\n    resources: [pods]\n    verbs: [get]\n  {{ [{'apiGroups': ['apps'], 'resources': ['deployments'], 'verbs': ['list']}] }}\n",
    "b.j2": HEAD.format(kind="ConfigMap", name="b") + "  labels:\n    app: b\n    {{ {'tier': 'web'} | to_nice_yaml | indent(4) }}\ndata:\n  Corefile: |\n    .:53 {\n        {{ 'rewrite a b\\ncache 5' | indent(8) }}\n    }\n",
    "c.yaml.jinja2": "apiVersion: v1\nkind: List\nitems:\n{% for n in [1, 2] %}\n- apiVersion: v1\n  kind: ServiceAccount\n  metadata: {name: 'c{{ n }}'}\n{% endfor %}\n",
    "d.tpl": HEAD.format(kind="ConfigMap", name="d") + "  annotations: {{ 'a.example.com/x: one\\nb: \"2\"\\n' | from_yaml }}\ndata:\n  hosts: \"{% for h in ['x', 'y'] %}{{ h }}{{ ',' if not loop.last }}{% endfor %}\"\n  none: {{ omit }}\n",
    "e.yaml": "{% set conf %}{% include 'nginx.conf.j2' %}{% endset %}\n" + HEAD.format(kind="ConfigMap", name="e") + "  annotations:\n    checksum/config: {{ conf | sha256 }}\ndata:\n  nginx.conf: |\n    {{ conf }}\n",
    "nginx.conf.j2": "listen 8080;\nserver_name {{ resource.metadata.name }};\n",
}  # fmt: skip


def once(made: operators.Project, plane: cluster.ControlPlane) -> tuple[dict[str, Any], str]:
    arguments = ("run", "-c", str(made.config), "--once", f"--kubeconfig={plane.kubeconfig}")
    found: dict[str, Any] = json.loads(operators.lostromos(*arguments, "-o", "json").stdout)
    return found["resources"][0], operators.lostromos(*arguments, stdin="").stdout


def test_each_failure_has_its_file_and_line(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    made = operators.project(tmp_path, crd, templates={name: text for name, (text, _) in FAILING.items()})
    api.create(crd.path(namespace), crd.manifest("web", spec={"text": "1"}))
    row, table = once(made, control_plane)
    assert len(row["objects"]) == len(FAILING)
    for name, (_, line) in FAILING.items():
        place = f"templates/{name}:{line}"
        assert [one for one in row["objects"] if one["place"].endswith(place) and place in one["message"]], place
        assert place in table


def test_each_file_that_cannot_be_rendered_is_named(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    made = operators.project(tmp_path, crd)
    folder = made.config.parent / "templates"
    for name in ("x.yaml", "y.yaml", "z.yaml"):
        (folder / name).write_text(HEAD.format(kind="ConfigMap", name=name[0]) + "data: {a: {{ resource.spec.no }}}\n")
    api.create(crd.path(namespace), crd.manifest("web", spec={"text": "1"}))
    row, table = once(made, control_plane)
    assert row["reason"] == "RenderFailed"
    for name in ("x.yaml:5", "y.yaml:5", "z.yaml:5"):
        assert name in row["message"]
        assert name in table


def test_idioms_from_elsewhere_arrive_as_they_are_meant(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    made = operators.project(tmp_path, crd, templates=GOOD)
    api.create(crd.path(namespace), crd.manifest("web", spec={"text": "1"}))
    row, _ = once(made, control_plane)
    assert row["ready"], row
    assert sorted((one["kind"], one["name"]) for one in row["objects"]) == [
        ("ConfigMap", "b"), ("ConfigMap", "d"), ("ConfigMap", "e"), ("Role", "a"), ("ServiceAccount", "c1"), ("ServiceAccount", "c2")
    ]  # fmt: skip
    config = f"/api/v1/namespaces/{namespace}/configmaps"
    b, d, e = (api.get(f"{config}/{name}") for name in "bde")
    assert b["data"]["Corefile"] == ".:53 {\n    rewrite a b\n    cache 5\n}\n"
    assert {key: b["metadata"]["labels"][key] for key in ("app", "tier")} == {"app": "b", "tier": "web"}
    assert d["data"] == {"hosts": "x,y"}
    assert {key: d["metadata"]["annotations"][key] for key in ("a.example.com/x", "b")} == {
        "a.example.com/x": "one",
        "b": "2",
    }
    assert e["data"]["nginx.conf"] == "listen 8080;\nserver_name web;\n"
    assert len(e["metadata"]["annotations"]["checksum/config"]) == 64
    role = api.get(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles/a")
    assert [rule["resources"] for rule in role["rules"]] == [["pods"], ["deployments"]]
