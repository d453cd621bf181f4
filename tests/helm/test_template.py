"""``helm-template``: charts for the other appliers, and what a chart that does not quote can be made to do with it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from tests import operators
from tests.controlplane import waiting

if TYPE_CHECKING:
    from tests.conftest import MakeCrd
    from tests.helm.conftest import World

CAREFUL = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {text: {{ .Values.text | quote }}}
"""
CARELESS = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  text: {{ .Values.text }}
"""


def project(world: World, template: str, **options: Any) -> operators.Project:
    """A controller that renders the chart and applies it itself."""
    made = world.project()
    for path in (world.chart / "templates").iterdir():
        path.unlink()
    (world.chart / "templates" / "config.yaml").write_text(template)
    kind = {"group": world.crd.group, "version": world.crd.version, "kind": world.crd.kind}
    given = {"chart": "app", "binary": str(world.folder / "helm"), "cache": str(world.folder / "cache"), **options}
    controller = {
        "name": "app",
        "watch": {"kubernetes": kind},
        "render": {"helm-template": {"values": {"layout": "spec"}, **given}},
        "apply": {"server-side": {"finalizer": "always", "prune": {"share": 1}}},
    }
    made.write({"controllers": [controller]})
    return made


def test_a_chart_is_applied_pruned_and_deleted_without_a_release(world: World) -> None:
    chart = CAREFUL + "{{- if .Values.more }}\n---\n" + CAREFUL.replace(".Release.Name }}", ".Release.Name }}-more")
    with operators.Operator(project(world, f"{chart}{{{{- end }}}}\n"), world.plane.kubeconfig):
        world.create("web", text="one", more=True)
        waiting.wait_until(lambda: world.is_ready("web"))
        assert (world.data("app-web"), world.data("app-web-more")) == ({"text": "one"}, {"text": "one"})
        world.update("web", text="two: {{ x }}", more=False)
        waiting.wait_until(lambda: world.data("app-web") == {"text": "two: {{ x }}"})
        waiting.wait_until(lambda: world.data("app-web-more") is None)
        waiting.wait_until(lambda: world.is_ready("web"))
        calls = world.calls("template")
        world.api.patch(world.map_path("app-web"), {"data": {"text": "theirs"}})
        waiting.wait_until(lambda: world.data("app-web") == {"text": "two: {{ x }}"})
        assert world.calls("template") == calls, "the same state is rendered once"
        world.api.delete(world.path("web"))
        waiting.wait_until(lambda: not world.api.exists(world.path("web")))
        assert world.data("app-web") is None
        assert world.by_hand("list", "--output=json") == []


def test_a_changed_chart_is_applied(world: World) -> None:
    with operators.Operator(project(world, CAREFUL), world.plane.kubeconfig):
        for name in ("one", "two"):
            world.create(name, text=name)
        waiting.wait_until(lambda: world.is_ready("one") and world.is_ready("two"))
        for text in ("first", "second"):
            template = CAREFUL.replace(".Values.text", f'(printf "{text} %s" .Values.text)')
            (world.chart / "templates" / "config.yaml").write_text(template)
            for name in ("one", "two"):
                wanted = {"text": f"{text} {name}"}
                waiting.wait_until(lambda name=name, wanted=wanted: world.data(f"app-{name}") == wanted)  # type: ignore[misc]


def test_a_resource_in_no_namespace_is_given_the_one_that_the_chart_is_told(world: World, make_crd: MakeCrd) -> None:
    everywhere = dataclasses.replace(world, crd=make_crd("Wide", namespaced=False))
    named = CAREFUL.replace(
        "{name: {{ .Release.Name }}}", "{name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}"
    )
    with operators.Operator(project(everywhere, named), world.plane.kubeconfig):
        name = f"{world.namespace}-wide"
        world.api.create(everywhere.crd.path(), everywhere.crd.manifest(name, spec={"text": "one"}))
        path = f"/api/v1/namespaces/default/configmaps/app-{name}"
        waiting.wait_until(lambda: world.api.exists(path))
        world.api.delete(everywhere.crd.path(name=name))
        waiting.wait_until(lambda: not world.api.exists(path))


INJECTIONS = [
    "x\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: injected}\nstringData: {a: b}\n",
    ("x\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: injected}\n"
    "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\nsubjects: []\n"),
    "x\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: injected, namespace: kube-system}\n",
    'x\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: foreign, annotations: {lostromos.dev/adopt: "true"}}\ndata: {a: ours}\n',
    "x\n---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: injected}\n",
    "x\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: injected, namespace: default}\n",
]  # fmt: skip


def test_a_chart_that_does_not_quote_cannot_leave_its_kinds_and_its_namespace(world: World) -> None:
    world.api.create(world.map_path("").rstrip("/"), {"metadata": {"name": "foreign"}, "data": {"a": "theirs"}})
    with operators.Operator(project(world, CARELESS), world.plane.kubeconfig):
        for number, text in enumerate(INJECTIONS):
            world.create(f"web{number}", text=text)
        for number in range(len(INJECTIONS)):
            waiting.wait_until(lambda number=number: operators.condition(world.resource(f"web{number}")) != {})  # type: ignore[misc]
            ready = operators.condition(world.resource(f"web{number}"))
            assert (ready["status"], ready["reason"]) == ("False", "Refused"), ready
            assert "app/templates/config.yaml" in ready["message"]
            assert world.data(f"app-web{number}") is None
        world.create("good", text="a text")
        waiting.wait_until(lambda: world.is_ready("good"))
    assert world.data("foreign") == {"a": "theirs"}
    assert not world.api.exists(f"/api/v1/namespaces/{world.namespace}/secrets/injected")
    assert not world.api.exists("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/injected")
    assert not world.api.exists("/api/v1/namespaces/kube-system/configmaps/injected")


FAR = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ .Release.Namespace }}-{{ .Release.Name }}
rules:
  - {apiGroups: [""], resources: [pods], verbs: [{{ .Values.verb }}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .Release.Namespace }}-{{ .Release.Name }}
  namespace: kube-system
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: extension-apiserver-authentication-reader}
subjects: [{kind: ServiceAccount, name: default, namespace: {{ .Release.Namespace }}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data:
  text: {{ .Values.text }}
"""
ROLE = "x\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: injected}\nrules: []\n"


def test_what_the_defaults_make_outside_of_the_namespace_is_made_and_nothing_else(world: World) -> None:
    made = project(world, FAR)
    (world.chart / "values.yaml").write_text("text: nothing\nverb: get\n")
    role = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{world.namespace}-app-good"
    binding = f"/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/rolebindings/{world.namespace}-app-good"
    with operators.Operator(made, world.plane.kubeconfig):
        world.create("good", text="a text")
        waiting.wait_until(lambda: world.is_ready("good"), timeout=30)
        assert world.api.get(role)["rules"][0]["verbs"] == ["get"]
        assert world.api.exists(binding)
        world.create("another", text=ROLE)
        waiting.wait_until(
            lambda: "is in no namespace, but the chart does not make it" in world.message("another"), timeout=30
        )
        world.create("more", verb='get, "*"')
        waiting.wait_until(
            lambda: "its field rules is not what the chart makes from its defaults" in world.message("more"), timeout=30
        )
        world.api.delete(world.path("good"))
        waiting.wait_until(lambda: not world.api.exists(role) and not world.api.exists(binding), timeout=30)
        for name in ("another", "more"):
            assert operators.condition(world.resource(name))["reason"] == "Refused"
            assert world.data(f"app-{name}") is None
    assert not world.api.exists("/apis/rbac.authorization.k8s.io/v1/clusterroles/injected")


@pytest.mark.parametrize("kinds", [[], ["ConfigMap"]])
def test_a_chart_without_defaults_needs_a_list_of_kinds(world: World, kinds: list[str]) -> None:
    needy = CAREFUL.replace(".Values.text", '(required "text is needed" .Values.text)')
    made = project(world, needy, kinds=kinds)
    (world.chart / "values.yaml").write_text("{}\n")
    with operators.Operator(made, world.plane.kubeconfig):
        world.create("web", text="one")
        if kinds:
            waiting.wait_until(lambda: world.is_ready("web"))
        else:
            waiting.wait_until(lambda: "list them in the renderer's `kinds`" in world.message("web"))
