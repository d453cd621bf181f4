"""The operator dies after each request of a reconcile that recreates, goes by waves, and fills in a status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests import operators
from tests.chaos import proxy
from tests.cluster import test_crash
from tests.controlplane import crds as crds_
from tests.controlplane import waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeCrd
    from tests.controlplane import api as apis
    from tests.controlplane import cluster

TEMPLATE = """\
{% for name in resource.spec.names %}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ resource.metadata.name }}-{{ name }}
  annotations: {lostromos.dev/wave: "{{ loop.index0 }}", lostromos.dev/recreate: "true"}
data: {v: "{{ resource.spec.v }}"}
immutable: true
{% endfor %}
"""
BEFORE: dict[str, Any] = {"names": ["a", "b", "c"], "v": "1"}
AFTER: dict[str, Any] = {"names": ["a"], "v": "2"}
STATUS = {
    **crds_.STATUS,
    "required": ["nodes"],
    "properties": {**crds_.STATUS["properties"], "nodes": {"type": "integer"}},
}
MOST = 60


def is_as(world: test_crash.World, spec: dict[str, Any]) -> bool:
    item = world.api.get(world.path)
    return operators.is_ready(item) and world.objects() == dict.fromkeys(spec["names"], spec["v"])


@pytest.mark.timeout(600)
def test_a_crash_in_the_middle_of_a_recreation_changes_nothing_in_the_end(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, make_crd: MakeCrd, namespace: str
) -> None:
    plane, crd = control_plane, make_crd(status=STATUS)
    options = {"finalizer": "always", "prune": {"share": 1}}
    made = operators.project(tmp_path, crd, templates={"a.yaml": TEMPLATE}, apply={"server-side": options})
    for after in range(1, MOST):
        world = test_crash.World(api, crd, namespace, f"web{after}")
        with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as chaos:
            with operators.Operator(made, chaos.kubeconfig, covered=False) as operator:
                operator.says("all resources are known", times=2 * after - 1)
                if after % 2:  # every other time, the first reconcile is the one that is cut
                    api.create(world.collection, crd.manifest(world.name, spec=BEFORE))
                    waiting.wait_until(lambda world=world: is_as(world, BEFORE))  # type: ignore[misc]
                test_crash.Killer(chaos, operator.pid, after)
                if after % 2:
                    api.patch(world.path, {"spec": AFTER})
                else:
                    api.create(world.collection, crd.manifest(world.name, spec=AFTER))
                waiting.wait_until(
                    lambda world=world, operator=operator: is_as(world, AFTER) or not operator.running  # type: ignore[misc]
                )
                survived = operator.running
        with operators.Operator(made, plane.kubeconfig, covered=False) as operator:
            operator.says("all resources are known", times=2 * after)
            waiting.wait_until(lambda world=world: is_as(world, AFTER))  # type: ignore[misc]
            assert api.get(world.path)["status"]["nodes"] == 0
        api.delete(world.path)
        if survived and after % 2:
            break
    assert 5 < after < MOST - 1, "every request of the reconcile was the last one once"
    assert "a bug" not in operator.log
