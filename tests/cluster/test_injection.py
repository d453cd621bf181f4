"""The exploit that Lostrómos exists to prevent, on a real API server, with both appliers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests import operators
from tests.controlplane import waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.controlplane import api as apis
    from tests.controlplane import cluster, crds

BINDING = """\
hi
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: NAME}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: mallory}]
---
x: """
TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ resource.metadata.name }}
data:
  plain: {{ resource.spec.text }}
  quoted: "{{ resource.spec.text }}"
  block: |
    {{ resource.spec.text }}
  app.yaml: {% yaml %}
    text: {{ resource.spec.text }}
    last: true
  {% endyaml %}
"""
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"


@pytest.mark.parametrize("apply", [{"server-side": {}}, {"kubectl": {}}], ids=["server-side", "kubectl"])
def test_a_value_that_is_yaml_stays_a_value(
    apply: dict[str, Any],
    tmp_path: Path,
    control_plane: cluster.ControlPlane,
    api: apis.Api,
    crd: crds.CustomKind,
    namespace: str,
) -> None:
    evil = BINDING.replace("NAME", f"evil-{namespace}")
    before = {item["metadata"]["name"] for item in api.list(BINDINGS)}
    made = operators.project(tmp_path, crd, templates={"config.yaml": TEMPLATE}, apply=apply)
    api.create(crd.path(namespace), crd.manifest("web", spec={"text": evil}))
    with operators.Operator(made, control_plane.kubeconfig):
        waiting.wait_until(lambda: operators.is_ready(api.get(crd.path(namespace, "web"))))
    data = api.get(f"/api/v1/namespaces/{namespace}/configmaps/web")["data"]
    assert data["plain"] == data["quoted"] == evil
    assert data["block"] == f"{evil}\n"
    assert yaml.safe_load(data["app.yaml"]) == {"text": evil, "last": True}
    assert {item["metadata"]["name"] for item in api.list(BINDINGS)} == before


def test_the_same_value_breaks_out_of_plain_jinja2() -> None:
    """The exploit is real: what the test above shows to be harmless is not so in a template that is rendered to text."""
    import jinja2  # noqa: PLC0415 - the product never uses it like this

    text = jinja2.Template("kind: ConfigMap\ndata:\n  text: {{ x }}\n").render(x=BINDING)
    assert [document.get("kind") for document in yaml.safe_load_all(text)] == ["ConfigMap", "ClusterRoleBinding", None]
