"""How the operator ends, and what the next one finds."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests import operators
from tests.chaos import actions, proxy
from tests.controlplane import waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.controlplane import api as apis
    from tests.controlplane import cluster, crds

COUNT = 30
FOUR = {
    "a.yaml": "".join(
        f'---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: "{{{{ resource.metadata.name }}}}-{number}"}}\ndata: {{v: "{{{{ resource.spec.text }}}}"}}\n'
        for number in range(4)
    )
}


def everything_is_there(api: apis.Api, crd: crds.CustomKind, namespace: str, text: str) -> bool:
    resources = api.list(crd.path(namespace))
    children = [
        item
        for item in api.list(f"/api/v1/namespaces/{namespace}/configmaps")
        if item["metadata"]["name"].startswith("web-")
    ]
    right = all(child["data"] == {"v": text} for child in children)
    return len(children) == 4 * COUNT and right and all(operators.is_ready(item) for item in resources)


@pytest.mark.parametrize("apply", [{"server-side": {}}, {"kubectl": {}}], ids=["server-side", "kubectl"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_the_operator_at_work_the_next_start_converges(
    number: signal.Signals,
    apply: dict[str, object],
    tmp_path: Path,
    control_plane: cluster.ControlPlane,
    api: apis.Api,
    crd: crds.CustomKind,
    namespace: str,
) -> None:
    made = operators.project(tmp_path, crd, templates=FOUR, apply=apply)
    for index in range(COUNT):
        api.create(crd.path(namespace), crd.manifest(f"web-{index}", spec={"text": "1"}))
    for _ in range(3):
        with operators.Operator(made, control_plane.kubeconfig) as operator:
            operator.says("all resources are known", times=operator.log.count("all resources are known") + 1)
            time.sleep(0.05)
            started = time.monotonic()
            status = operator.stop(number)
            assert time.monotonic() - started < 40
            assert status == (0 if number == signal.SIGTERM else -signal.SIGKILL)
        assert "a bug" not in operator.log
    with operators.Operator(made, control_plane.kubeconfig):
        waiting.wait_until(lambda: everything_is_there(api, crd, namespace, "1"), timeout=60)


def test_a_reconcile_that_runs_when_the_signal_comes_is_finished_and_reported(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    plane = control_plane
    made = operators.project(tmp_path, crd)
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as chaos:
        with operators.Operator(made, chaos.kubeconfig) as operator:
            operator.says("all resources are known")
            chaos.add(actions.Delay(2.0), method="PATCH", path="/configmaps/")
            api.create(crd.path(namespace), crd.manifest("web", spec={"text": "1"}))
            waiting.wait_until(lambda: any("/configmaps/" in r.path for r in chaos.writes()))
            assert operator.stop() == 0
    assert operators.is_ready(api.get(crd.path(namespace, "web")))


def test_a_signal_that_comes_during_the_start_ends_the_operator_in_order(
    tmp_path: Path, control_plane: cluster.ControlPlane, crd: crds.CustomKind, namespace: str
) -> None:
    plane = control_plane
    made = operators.project(tmp_path, crd, varsFrom=[{"secret": {"namespace": namespace, "name": "s"}}])
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as chaos:
        chaos.add(actions.Delay(60.0), path="/secrets/")
        with operators.Operator(made, chaos.kubeconfig) as operator:
            waiting.wait_until(lambda: any("/secrets/" in r.path for r in chaos.requests))
            started = time.monotonic()
            assert operator.stop() == 0
            assert time.monotonic() - started < 40
            assert "stopping" in operator.log


def test_an_api_server_that_hangs_does_not_keep_the_operator_from_ending(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    plane = control_plane
    made = operators.project(tmp_path, crd)
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as chaos:
        with operators.Operator(made, chaos.kubeconfig) as operator:
            operator.says("all resources are known")
            chaos.add(actions.Delay(60.0), method="PATCH", path="/configmaps/")
            api.create(crd.path(namespace), crd.manifest("web", spec={"text": "1"}))
            waiting.wait_until(lambda: any("/configmaps/" in r.path for r in chaos.writes()))
            started = time.monotonic()
            assert operator.stop() == 0
            assert time.monotonic() - started < 40
            assert "some reconciles did not finish in time" in operator.log
    reconciling = operators.condition(api.get(crd.path(namespace, "web")), "Reconciling")
    assert (reconciling["status"], reconciling["reason"]) == ("True", "Interrupted")
