"""What ``helm-template`` takes of a chart, object by object."""

from __future__ import annotations

from typing import Any

import pytest

from lostromos_core import errors
from lostromos_helm.objects import manifest
from lostromos_helm.templating import confinement, rendering

RBAC = "rbac.authorization.k8s.io"
EVERYWHERE = frozenset({(RBAC, "ClusterRole"), (RBAC, "ClusterRoleBinding"), ("", "Namespace")})


def parse(*texts: str) -> list[manifest.Item]:
    head = "---\n# Source: app/templates/a.yaml\n"
    return manifest.parse("".join(f"{head}{text}\n" for text in texts), "team-a")


def binding(
    name: str = "app", role: str = "view", who: str = "app", kind: str = "ClusterRoleBinding", more: str = ""
) -> str:
    about = f"{{apiVersion: {RBAC}/v1, kind: {kind}, metadata: {{name: {name}{more}}}"
    return f"{about}, roleRef: {{apiGroup: {RBAC}, kind: ClusterRole, name: {role}}}, subjects: [{{kind: User, name: {who}}}]}}"


ROLE = f"{{apiVersion: {RBAC}/v1, kind: ClusterRole, metadata: {{name: app}}, rules: [{{verbs: [%s]}}]}}"
MAP = "{apiVersion: v1, kind: ConfigMap, metadata: {name: %s}, data: {a: %s}}"
NAMESPACE = "{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {a: %s}}}"
NEAR = binding("near", kind="RoleBinding")
FAR = binding("far", kind="RoleBinding", more=", namespace: kube-system")
DEFAULTS = [binding(), ROLE % "get", MAP % ("app", "b"), NEAR, FAR, NAMESPACE % ("app", "b")]
CASES: dict[str, tuple[str, str]] = {  # an object, and why it is refused
    "as the defaults make it": (binding(), ""),
    "another name in the namespace": (MAP % ("other", "b"), ""),
    "other data in the namespace": (MAP % ("app", "c"), ""),
    "other labels of a far object": (NAMESPACE % ("app", "c"), ""),
    "another cluster-scoped name": (binding("evil"), "is in no namespace, but the chart does not make it"),
    "another cluster-scoped name, without rights": (NAMESPACE % ("evil", "b"), "is in no namespace, but the chart does not make it"),
    "another role": (binding(role="cluster-admin"), "its field roleRef is not what the chart makes"),
    "another subject": (binding(who="mallory"), "its field subjects is not what the chart makes"),
    "other rules": (ROLE % '"*"', "its field rules is not what the chart makes"),
    "a role that adds up others": (f"{{apiVersion: {RBAC}/v1, kind: ClusterRole, metadata: {{name: app}}, rules: [{{verbs: [get]}}], aggregationRule: {{}}}}", "its field aggregationRule is not"),
    "another binding in the namespace, of a role that is bound": (binding("other", kind="RoleBinding", who="x"), ""),
    "a binding in the namespace, of another role": (binding("near", role="cluster-admin", kind="RoleBinding"), "its field roleRef is not what the chart makes"),
    "in another namespace, as the defaults make it": (FAR, ""),
    "in another namespace, another subject": (binding("far", kind="RoleBinding", more=", namespace: kube-system", who="x"), "its field subjects is not"),
    "in another namespace, another name": (binding("evil", kind="RoleBinding", more=", namespace: kube-system"), "is outside the resource's namespace, team-a"),
    "a kind in the namespace that is elsewhere by default": ("{apiVersion: v1, kind: ConfigMap, metadata: {name: app, namespace: kube-system}}", "is outside the resource's namespace"),
    "the same in a list": (f"{{apiVersion: v1, kind: List, items: [{binding('evil')}]}}", "is in no namespace"),
}  # fmt: skip


def refuse(text: str, listed: Any = ()) -> None:
    defaults, items = parse(*DEFAULTS), parse(text)
    limits = confinement.limits_of(defaults, listed)
    confinement.refuse(items, limits)
    confinement.refuse_far(items, defaults, limits, "team-a", EVERYWHERE)


@pytest.mark.parametrize("case", CASES)
def test_what_lies_elsewhere_or_gives_rights_is_what_the_defaults_make(case: str) -> None:
    text, why = CASES[case]
    if not why:
        refuse(text)
        return
    with pytest.raises(errors.RefusedError, match=why) as caught:
        refuse(text)
    assert "app/templates/a.yaml" in str(caught.value)


@pytest.mark.parametrize(
    "text", [binding("other", role="edit"), ROLE % "list", binding("x", kind="RoleBinding", role="x")]
)
def test_kinds_that_the_configuration_lists_are_not_compared(text: str) -> None:
    refuse(text, {(RBAC, "ClusterRoleBinding"), (RBAC, "ClusterRole"), (RBAC, "RoleBinding")})


def test_no_list_of_kinds_opens_another_namespace() -> None:
    with pytest.raises(errors.RefusedError, match="is outside the resource's namespace"):
        refuse(binding("evil", kind="RoleBinding", more=", namespace: kube-system"), {(RBAC, "RoleBinding")})


def test_renderings_are_kept_as_far_as_their_size_allows() -> None:
    kept = rendering.Renderings(100)
    for name in ("one", "two", "three"):
        kept.put(name, rendering.Rendering(parse(MAP % (name, "b"))), 40)
        kept.get("one")
    assert [kept.get(name) is not None for name in ("one", "two", "three")] == [True, False, True]
    kept.put("one", rendering.Rendering([]), 60)
    assert kept.get("three") is not None
    kept.put("large", rendering.Rendering([]), 101)
    assert [kept.get(name) for name in ("one", "three", "large")] == [None] * 3
