"""What becomes of a release whose resource goes, or wants another one, when something stands in the way."""

from __future__ import annotations

import dataclasses
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from lostromos_helm.release import commands
from tests.controlplane import waiting

if TYPE_CHECKING:
    from tests.conftest import MakeCrd
    from tests.helm.conftest import World

KEPT = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-kept
  annotations: {helm.sh/resource-policy: keep}
"""
NEVER_READY = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "example.com/web:1"}]}
"""


def test_a_release_goes_though_a_kind_of_it_is_gone_and_leaves_what_is_kept(world: World, make_crd: MakeCrd) -> None:
    thing = make_crd("Thing")
    operator = world.operator()
    head = f"apiVersion: {thing.api_version}\nkind: {thing.kind}\nmetadata: {{name: thing}}\n"
    (world.chart / "templates" / "thing.yaml").write_text(f"{head}---\n{KEPT}")
    with operator:
        world.create("web", text="one")
        waiting.wait_until(lambda: world.is_ready("web"), timeout=30)
        definition = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{thing.plural}.{thing.group}"
        world.api.delete(definition)
        waiting.wait_until(lambda: not world.api.exists(definition), timeout=30)
        shutil.rmtree(world.folder / "cache" / "kube")
        world.api.delete(world.path("web"))
        waiting.wait_until(lambda: not world.api.exists(world.path("web")), timeout=30)
    assert world.by_hand("list", "--output=json") == []
    assert (world.data("app-web"), world.data("app-web-kept")) == (None, {})


def test_what_a_failed_revision_made_to_be_kept_is_kept(world: World) -> None:
    operator = world.operator()
    more = world.chart / "templates" / "more.yaml"
    more.write_text("{{ if .Values.bad }}" + KEPT + "{{ end }}---\n" + more.read_text())
    with operator:
        world.create("web", text="one")
        waiting.wait_until(lambda: world.is_ready("web"), timeout=30)
        world.update("web", bad=99999)
        waiting.wait_until(lambda: "spec.ports" in world.message("web"), timeout=30)
        world.update("web", text="two", bad=None)
        waiting.wait_until(lambda: world.is_ready("web"), timeout=30)
    assert world.data("app-web-kept") == {}


def test_with_wait_a_resource_stays_until_the_objects_are_gone(world: World) -> None:
    operator = world.operator(wait=True)
    held = KEPT.replace("annotations: {helm.sh/resource-policy: keep}", "finalizers: [example.com/hold]")
    (world.chart / "templates" / "held.yaml").write_text(held)
    with operator:
        world.create("web", text="one")
        waiting.wait_until(lambda: world.is_ready("web"), timeout=30)
        world.api.delete(world.path("web"))
        waiting.wait_until(lambda: world.data("app-web") is None, timeout=30)
        time.sleep(2)
        assert world.api.exists(world.path("web"))
        world.api.patch(world.map_path("app-web-kept"), {"metadata": {"finalizers": None}})
        waiting.wait_until(lambda: not world.api.exists(world.path("web")), timeout=30)


def test_a_release_goes_while_helm_waits_for_others(world: World) -> None:
    operator = world.operator(wait=True, processes=2)
    (world.chart / "templates" / "slow.yaml").write_text("{{ if .Values.slow }}" + NEVER_READY + "{{ end }}")
    with operator:
        world.create("web", text="one")
        waiting.wait_until(lambda: world.is_ready("web"), timeout=30)
        for name in ("slow", "slower", "slowest"):
            world.create(name, text="one", slow=True)
        waiting.wait_until(lambda: len(world.calls("install")) > 1, timeout=30)
        time.sleep(commands.PATIENCE + 1)  # so long they wait for each other, before they want a place
        world.api.delete(world.path("web"))
        waiting.wait_until(lambda: not world.api.exists(world.path("web")), timeout=30)
        assert not world.is_ready("slow")


def test_a_release_that_gets_another_name_leaves_none_behind_though_others_are_orphaned(world: World) -> None:
    with world.operator(onDelete="orphan"):
        world.create("web", text="one")
        waiting.wait_until(lambda: world.is_ready("web"), timeout=30)
    with world.operator(onDelete="orphan", prefix="new"):
        waiting.wait_until(lambda: world.data("new-web") == {"text": "one"}, timeout=30)
        waiting.wait_until(lambda: world.data("app-web") is None, timeout=30)
        waiting.wait_until(
            lambda: [one["name"] for one in world.by_hand("list", "--output=json")] == ["new-web"], timeout=30
        )


@pytest.mark.parametrize("deleted", [False, True])
def test_a_release_that_gets_another_namespace_leaves_none_behind(world: World, *, deleted: bool) -> None:
    first, second = f"{world.namespace}-a", f"{world.namespace}-b"
    for name in (first, second):
        world.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    there, then = (dataclasses.replace(world, namespace=name) for name in (first, second))
    watch = {"namespaces": [world.namespace]}
    with world.operator(watch=watch, namespace=first):
        world.create("web", text="one")
        waiting.wait_until(lambda: world.is_ready("web"), timeout=30)
        assert len(there.by_hand("list", "--output=json")) == 1
    if deleted:
        world.api.delete(world.path("web"))
    with world.operator(watch=watch, namespace=second):
        waiting.wait_until(lambda: there.by_hand("list", "--output=json") == [], timeout=30)
        if deleted:
            waiting.wait_until(lambda: not world.api.exists(world.path("web")), timeout=30)
        else:
            waiting.wait_until(lambda: world.is_ready("web"), timeout=30)
        assert len(then.by_hand("list", "--output=json")) == (0 if deleted else 1)
    for name in (first, second):
        world.api.delete(f"/api/v1/namespaces/{name}")
