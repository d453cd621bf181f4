"""Whatever the API server answers for some seconds, no edit is lost: all arrive when it answers as usual again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests import operators
from tests.chaos import actions, breaks, proxy
from tests.controlplane import binaries, waiting
from tests.controlplane import crds as crds_

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeCrd
    from tests.controlplane import api as apis
    from tests.controlplane import cluster

RESOURCES = 20
SECONDS = 5.0
FAILURES: dict[str, actions.Action] = {
    **{str(status): actions.Answer(status) for status in (400, 401, 403, 404, 409, 410, 422, 500, 503)},
    "429": actions.Answer(429, headers={"Retry-After": "1"}),
    "unreadable": actions.Answer(200, body="<html>Please log in</html>", headers={"content-type": "text/html"}),
    "cut": breaks.Eof(40),
    "reset": breaks.Reset(),
}
CHART = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}"}
data: {text: {{ .Values.text | quote }}}
"""


def made(folder: Path, kind: crds_.CustomKind, applier: str) -> operators.Project:
    if not applier.startswith("helm"):
        return operators.project(folder, kind, apply={applier: {}})
    templates = folder / "chart" / "templates"
    templates.mkdir(parents=True)
    (templates.parent / "Chart.yaml").write_text("apiVersion: v2\nname: text\nversion: 1.0.0\n")
    (templates / "map.yaml").write_text(CHART)
    options = {"chart": "chart", "prefix": "", "binary": str(binaries.helm(applier)), "cache": str(folder / "cache")}
    controller = operators.controller(kind, apply={"helm": options})
    controller["render"] = {"values": {"layout": "spec"}}
    project = operators.Project(folder)
    project.write({"controllers": [controller]})
    return project


SOME = ("401", "404", "409", "503", "unreadable", "reset")
"""For the appliers that have most of their way in common with the first, but take a process for each write."""


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("applier", ["server-side", "kubectl", "helm-3"])
def test_no_edit_is_lost_whatever_is_answered_meanwhile(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, make_crd: MakeCrd, namespace: str, applier: str
) -> None:
    plane, kind = control_plane, make_crd()
    project = made(tmp_path, kind, applier)
    names = [f"web{number}" for number in range(RESOURCES)]

    def texts() -> dict[str, str]:
        maps = api.list(f"/api/v1/namespaces/{namespace}/configmaps")
        return {item["metadata"]["name"]: item["data"]["text"] for item in maps if item["metadata"]["name"] in names}

    def settled(text: str) -> bool:
        return texts() == dict.fromkeys(names, text) and all(map(operators.is_ready, api.list(kind.path(namespace))))

    for name in names:
        api.create(kind.path(namespace), kind.manifest(name, spec={"text": "start"}))
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as chaos:
        with operators.Operator(project, chaos.kubeconfig, covered=False) as operator:
            waiting.wait_until(lambda: settled("start"), timeout=120)
            lost: dict[str, Any] = {}
            chosen = FAILURES if applier == "server-side" else {name: FAILURES[name] for name in SOME}
            for failure, action in chosen.items():
                with chaos.add(action, predicate=lambda record: "/leases/" not in record.path):
                    for name in names:
                        api.patch(kind.path(namespace, name), {"spec": {"text": failure}})
                    time.sleep(SECONDS)
                try:
                    waiting.wait_until(lambda failure=failure: settled(failure), timeout=60)  # type: ignore[misc]
                except TimeoutError:
                    lost[failure] = {name: text for name, text in texts().items() if text != failure} or "no status"
                    waiting.wait_until(lambda failure=failure: settled(failure), timeout=300)  # type: ignore[misc]
            assert lost == {}, operator.log[-4000:]
            assert "a bug" not in operator.log
            assert "Traceback" not in operator.log
