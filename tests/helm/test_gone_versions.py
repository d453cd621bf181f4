"""A version of a release's object is served no longer: the object is found in the one that is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_helm.release import versions
from tests import operators
from tests.contract import test_versions
from tests.controlplane import crds, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.helm.conftest import World

OLD, NEW = "v1beta1", "v1"
THINGS = """\
apiVersion: {group}/{{{{ .Values.version | default "v1beta1" }}}}
kind: {kind}
metadata: {{name: "{{{{ .Release.Name }}}}"}}
spec: {{min: {{{{ .Values.min | default 1 }}}}}}
---
apiVersion: v1
kind: List
items:
  - apiVersion: {group}/{{{{ .Values.version | default "v1beta1" }}}}
    kind: {kind}
    metadata: {{name: "{{{{ .Release.Name }}}}-listed"}}
  - {{apiVersion: v1, kind: ConfigMap, metadata: {{name: "{{{{ .Release.Name }}}}-listed"}}}}
---
apiVersion: {group}/v1
kind: {kind}
metadata: {{name: "{{{{ .Release.Name }}}}-new"}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: "{{{{ .Release.Name }}}}"}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: "{{{{ .Release.Name }}}}-leaves", annotations: {{helm.sh/hook: pre-delete}}}}
"""


def budgets(world: World) -> crds.CustomKind:
    """A kind that is served in two versions."""
    kind = crds.CustomKind(group=f"policy.{world.crd.group}", kind="Budget")
    made = crds.definition(kind)
    first = made["spec"]["versions"][0]
    made["spec"]["versions"] = [first, {**first, "name": OLD, "storage": False}]
    crds.create(world.api, made)
    return kind


def end_old_version(world: World, kind: crds.CustomKind) -> None:
    path = f"{crds.DEFINITIONS}/{kind.definition_name}"
    world.api.patch(path, [{"op": "replace", "path": "/spec/versions/1/served", "value": False}], patch_type="json")
    old = kind.path(world.namespace).replace(f"/{NEW}/", f"/{OLD}/")
    waiting.wait_until(lambda: not world.api.exists(old))


def remove_old_version(world: World, kind: crds.CustomKind) -> None:
    test_versions.remove_version(world.api, kind, OLD)


def assert_rest(operator: operators.Operator) -> None:
    """Nothing is reconciled again though the watch of the version that is gone goes on asking for it."""
    time.sleep(8)
    before = operator.log.count("reconciled")
    time.sleep(8)
    assert operator.log.count("reconciled") == before


def project(world: World, kind: crds.CustomKind, **options: Any) -> operators.Project:
    made = world.project(**options)
    for path in (world.chart / "templates").iterdir():
        path.unlink()
    (world.chart / "templates" / "all.yaml").write_text(THINGS.format(group=kind.group, kind=kind.kind))
    return made


def names(world: World, kind: crds.CustomKind) -> set[str]:
    return {one["metadata"]["name"] for one in world.api.list(kind.path(world.namespace))}


@pytest.mark.parametrize("end", [end_old_version, remove_old_version])
def test_releases_with_versions_that_are_gone_go_on(
    world: World, end: Callable[[World, crds.CustomKind], None]
) -> None:
    """Also if the definition does not have it any more: who applied in it stands in the objects' managed fields."""
    kind = budgets(world)
    try:
        with operators.Operator(project(world, kind), world.plane.kubeconfig, "--log-level=debug") as operator:
            for name in ("deleted", "upgraded", "repaired", "changed", "later"):
                world.create(name)
            for name in ("deleted", "upgraded", "repaired", "changed", "later"):
                waiting.wait_until(lambda name=name: world.is_ready(name))  # type: ignore[misc]
            end(world, kind)
            world.api.delete(world.path("deleted"))
            world.update("upgraded", version=NEW, min=3)
            waiting.wait_until(lambda: not world.api.exists(world.path("deleted")), timeout=60)
            assert not [name for name in names(world, kind) if "deleted" in name]
            assert world.data("app-deleted-leaves") is not None, "Helm ran its hooks"
            waiting.wait_until(lambda: world.release("upgraded").get("revision") == 2, timeout=60)
            waiting.wait_until(lambda: world.is_ready("upgraded"), timeout=60)
            assert world.api.get(kind.path(world.namespace, "app-upgraded"))["spec"] == {"min": 3}
            world.api.patch(kind.path(world.namespace, "app-repaired"), {"spec": {"min": 9}})
            waiting.wait_until(
                lambda: world.api.get(kind.path(world.namespace, "app-repaired"))["spec"] == {"min": 1}, timeout=60
            )
            if end is remove_old_version:
                assert_rest(operator)
            operator.stop()
            operator.start()
            world.update("later", version=NEW)
            waiting.wait_until(lambda: world.release("later").get("revision") == 2, timeout=60)
            waiting.wait_until(lambda: world.is_ready("later"), timeout=60)
            for name in ("upgraded", "repaired", "changed", "later"):
                world.api.delete(world.path(name))
            for name in ("upgraded", "repaired", "changed", "later"):
                waiting.wait_until(lambda name=name: not world.api.exists(world.path(name)), timeout=60)  # type: ignore[misc]
            assert names(world, kind) == set()
    finally:
        crds.delete_all(world.api, kind)


@pytest.mark.parametrize("change", ["uninstall", "upgrade"])
def test_helm_deletes_the_object_although_it_has_known_the_kind_in_a_version_that_is_gone(
    world: World, change: str
) -> None:
    """Without hooks and without anything new to Helm, so that it has no reason to ask for the cluster's kinds again."""
    kind = budgets(world)
    try:
        made = project(world, kind)
        (world.chart / "templates" / "all.yaml").write_text(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}'}\n"
            "{{ if ne (int .Values.min) 7 }}\n"
            f"---\napiVersion: {kind.group}/{OLD}\nkind: {kind.kind}\nmetadata: {{name: '{{{{ .Release.Name }}}}'}}\n"
            "{{ end }}"
        )
        with operators.Operator(made, world.plane.kubeconfig, "--log-level=debug") as operator:
            for name in ("first", "web"):
                world.create(name)
                waiting.wait_until(lambda name=name: world.is_ready(name))  # type: ignore[misc]
            operator.stop()  # the next process has only what Helm keeps on disk
            end_old_version(world, kind)
            if change == "uninstall":
                world.api.delete(world.path("web"))
                operator.start()
                waiting.wait_until(lambda: not world.api.exists(world.path("web")), timeout=60)
            else:
                world.update("web", min=7)
                operator.start()
                waiting.wait_until(lambda: world.release("web").get("revision") == 2, timeout=60)
            assert names(world, kind) == {"app-first"}
            assert "had lost its Secret" not in operator.log, "it was Helm that deleted the object"
            assert "it was rewritten" in operator.log
    finally:
        crds.delete_all(world.api, kind)


def test_what_nobody_can_prove_is_removed_in_the_version_that_is_served(world: World) -> None:
    kind = budgets(world)
    try:
        with operators.Operator(project(world, kind), world.plane.kubeconfig):
            world.create("web")
            waiting.wait_until(lambda: world.is_ready("web"))
            (secret,) = world.api.list(f"/api/v1/namespaces/{world.namespace}/secrets", labelSelector="name=app-web")
            path = f"/api/v1/namespaces/{world.namespace}/secrets/{secret['metadata']['name']}"
            world.api.patch(path, {"metadata": {"labels": {"lostromos.dev/seal": "0" * 40}}})
            end_old_version(world, kind)
            world.api.delete(world.path("web"))
            waiting.wait_until(lambda: not world.api.exists(world.path("web")), timeout=60)
            assert names(world, kind) == set()
    finally:
        crds.delete_all(world.api, kind)


def test_a_manifest_is_rewritten_as_little_as_possible() -> None:
    text = (
        "---\n# Source: app/templates/a.yaml\napiVersion: x/v1beta1 # why\nkind: A\nmetadata: {name: a}\ndata: 0644\n"
        "---\n# Source: app/templates/b.yaml\napiVersion: x/v1beta1\nkind: B\nmetadata:\n  name: b # untouched\n"
        "---\n# Source: app/templates/c.yaml\n# nothing\n"
        '---\n{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "x/v1beta1", "kind": "A"}]}\n'
    )
    found = versions.rewritten(text, {("x/v1beta1", "A"): "x/v1"})
    parts = found.split("---")
    assert [part for part in parts if "untouched" in part] == [
        part for part in text.split("---") if "untouched" in part
    ]
    assert '# Source: app/templates/a.yaml\n{"apiVersion":"x/v1","kind":"A"' in parts[1]
    assert '"data":420' in parts[1], "a number is what Helm reads"
    assert '"items":[{"apiVersion":"x/v1","kind":"A"}]' in parts[4]
    assert versions.rewritten(text, {}) == text
