"""The operator dies (kill -9) after each single request of a reconcile: the next start always ends in the same state."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests import operators
from tests.chaos import actions, proxy
from tests.controlplane import waiting

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.chaos import records
    from tests.controlplane import api as apis
    from tests.controlplane import cluster, crds

TEMPLATE = """\
{% for name in resource.spec.names %}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ resource.metadata.name }}-{{ name }}
  annotations: {lostromos.dev/wave: "{{ loop.index0 // 3 }}"}
data: {v: "{{ resource.spec.v }}"}
{% endfor %}
"""
BEFORE = {"names": ["a", "b", "c", "d", "e", "f"], "v": "1"}
AFTER = {"names": ["a", "b", "d", "e", "g", "h"], "v": "2"}
MOST = 60
"""No reconcile of six objects sends as many requests."""


class Killer:
    """Kills a process when it has sent so many requests; what a write asked for has been done by then."""

    def __init__(self, chaos: proxy.ChaosProxy, pid: int, after: int) -> None:
        self._pid, self._left = pid, after
        self._lock = threading.Lock()
        for method, moment in (("GET", actions.BEFORE), *((one, actions.AFTER) for one in ("PATCH", "POST", "DELETE"))):
            chaos.add(actions.Call(self._count, at=moment), method=method)

    def _count(self, _: records.Record) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(self._pid, signal.SIGKILL)


class World:
    """One resource, as it was asked for and as it is."""

    def __init__(self, api: apis.Api, crd: crds.CustomKind, namespace: str, name: str) -> None:
        self.api, self.name = api, name
        self.collection, self.path = crd.path(namespace), crd.path(namespace, name)
        self.manifest = crd.manifest
        self.maps = f"/api/v1/namespaces/{namespace}/configmaps"

    def change(self, how: str) -> None:
        if how == "create":
            self.api.create(self.collection, self.manifest(self.name, spec=BEFORE))
        elif how == "update":
            self.api.patch(self.path, {"spec": AFTER})
        else:
            self.api.delete(self.path)

    def objects(self) -> dict[str, str]:
        items = self.api.list(self.maps, labelSelector="applyset.kubernetes.io/part-of")
        prefix = f"{self.name}-"
        return {
            item["metadata"]["name"].removeprefix(prefix): item["data"]["v"]
            for item in items
            if item["metadata"]["name"].startswith(prefix)
        }

    def is_done(self, how: str) -> bool:
        if how == "delete":
            return not self.api.exists(self.path) and not self.objects()
        return operators.is_ready(self.api.get(self.path))

    def check(self, how: str) -> None:
        spec: Mapping[str, Any] = {"create": BEFORE, "update": AFTER, "delete": {"names": [], "v": ""}}[how]
        assert self.objects() == dict.fromkeys(spec["names"], spec["v"])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", ["create", "update", "delete"])
@pytest.mark.parametrize("applier", ["server-side", "kubectl"])
def test_a_crash_after_any_request_changes_nothing_in_the_end(
    tmp_path: Path,
    control_plane: cluster.ControlPlane,
    api: apis.Api,
    crd: crds.CustomKind,
    namespace: str,
    applier: str,
    how: str,
) -> None:
    plane = control_plane
    options = {"finalizer": "always", "prune": {"share": 1}}
    made = operators.project(tmp_path, crd, templates={"a.yaml": TEMPLATE}, apply={applier: options})
    for after in range(1, MOST):
        world = World(api, crd, namespace, f"web{after}")
        if how != "create":
            world.change("create")
        with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as chaos:
            with operators.Operator(made, chaos.kubeconfig, covered=False) as operator:
                operator.says("all resources are known", times=2 * after - 1)
                if how != "create":
                    waiting.wait_until(lambda world=world: world.is_done("create"), timeout=30)  # type: ignore[misc]
                Killer(chaos, operator.pid, after)
                world.change(how)
                waiting.wait_until(
                    lambda world=world, operator=operator: world.is_done(how) or not operator.running,  # type: ignore[misc]
                    timeout=30,
                )
                survived = operator.running
        with operators.Operator(made, plane.kubeconfig, covered=False) as operator:
            operator.says("all resources are known", times=2 * after)
            waiting.wait_until(lambda world=world: world.is_done(how), timeout=30)  # type: ignore[misc]
            world.check(how)
        if how != "delete":
            world.api.delete(world.path)
        if survived:
            break
    assert 5 < after < MOST - 1, "every request of the reconcile was the last one once"
    assert "a bug" not in operator.log
