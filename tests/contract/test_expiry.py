"""Jobs that remove themselves when they have ended: run once for what is rendered, by all appliers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests import operators
from tests.controlplane import binaries, crds, waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeCrd
    from tests.controlplane import api as apis
    from tests.controlplane import cluster
    from tests.controlplane import kubelet as kubelets

CHART = """\
{{- range $name, $job := .Values.jobs }}
---
apiVersion: batch/v1
kind: Job
metadata: {name: "{{ $.Release.Name }}-{{ $name }}"}
spec: {{- toYaml $job | nindent 2 }}
{{- end }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}"}
"""
TEMPLATE = """\
{% for name, job in resource.spec.jobs.items() %}
---
apiVersion: batch/v1
kind: Job
metadata: {name: "app-{{ resource.metadata.name }}-{{ name }}"}
spec: {{ job }}
{% endfor %}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: "app-{{ resource.metadata.name }}", annotations: {lostromos.dev/wave: "1"}}
"""
APPLIERS: dict[str, dict[str, Any]] = {
    "server-side": {"apply": {"server-side": {"wait": True}}},
    "kubectl": {"apply": {"kubectl": {}}},
    "helm-3": {"render": {"values": {"layout": "spec"}}, "apply": {"helm": {"chart": "chart", "timeout": 60}}},
    "helm-4": {"render": {"values": {"layout": "spec"}}, "apply": {"helm": {"chart": "chart", "timeout": 60}}},
}


def job(image: str = "example.com/none", **spec: Any) -> dict[str, Any]:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": image}]}
    return {"ttlSecondsAfterFinished": 0, "backoffLimit": 0, "template": {"spec": pod}, **spec}


@pytest.fixture(params=APPLIERS)
def applier(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def project(folder: Path, kind: crds.CustomKind, applier: str) -> operators.Project:
    made = operators.project(folder, kind, templates={"all.yaml": TEMPLATE})
    (folder / "chart" / "templates").mkdir(parents=True)
    (folder / "chart" / "Chart.yaml").write_text("apiVersion: v2\nname: app\nversion: 1.0.0\n")
    (folder / "chart" / "templates" / "all.yaml").write_text(CHART)
    settings = yaml.safe_load(made.config.read_text())
    settings["controllers"][0] |= APPLIERS[applier]
    if applier.startswith("helm"):
        settings["controllers"][0]["apply"]["helm"] |= {
            "binary": str(binaries.helm(applier)),
            "cache": str(folder / "cache"),
        }
    made.write(settings)
    return made


JOBS = {
    "at-once": job(),
    "later": job(ttlSecondsAfterFinished=1),
    "several": job(completions=2, parallelism=2),
    "indexed": job(completions=2, completionMode="Indexed"),
    "named": job(template={"metadata": {"labels": {"a": "b"}}, **job()["template"]}),
}


def test_a_job_that_removed_itself_is_run_once(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, make_crd: MakeCrd, namespace: str,
    kubelet: kubelets.Kubelet, applier: str,
) -> None:  # fmt: skip
    kind = make_crd()
    path = kind.path(namespace, "web")
    jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"

    def settled() -> bool:
        return not api.list(jobs) and operators.is_ready(api.get(path))

    def wait_until_settled() -> None:
        try:
            waiting.wait_until(settled, timeout=120)
        except TimeoutError as error:
            error.add_note(f"Jobs: {[one['metadata'] | one.get('status', {}) for one in api.list(jobs)]}")
            error.add_note(f"resource: {api.get(path)}")
            error.add_note(f"runs: {kubelet.runs}")
            error.add_note(operator.log[-4000:])
            raise

    with operators.Operator(project(tmp_path, kind, applier), control_plane.kubeconfig) as operator:
        api.create(kind.path(namespace), kind.manifest("web", spec={"jobs": JOBS}))
        waiting.wait_until(lambda: len(kubelet.runs) == len(JOBS), timeout=120)
        waiting.wait_until(lambda: not api.list(jobs), timeout=120, message="all Jobs have removed themselves")
        waiting.wait_until(lambda: operators.is_ready(api.get(path)), timeout=120, message="the resource is Ready")
        config_map = f"/api/v1/namespaces/{namespace}/configmaps/app-web"
        for _ in range(2):
            api.delete(config_map)  # which is repaired, and the Jobs are looked at with it
            waiting.wait_until(lambda: api.exists(config_map))
        wait_until_settled()
        operator.stop()
        api.delete(config_map)
        operator.start()
        waiting.wait_until(lambda: api.exists(config_map))
        wait_until_settled()
        assert {name: len(uids) for name, uids in kubelet.runs.items()} == {f"app-web-{name}": 1 for name in JOBS}
        changed = {**JOBS, "later": job(image="example.com/other", ttlSecondsAfterFinished=1)}
        api.patch(path, {"spec": {"jobs": changed}})
        waiting.wait_until(lambda: len(kubelet.runs["app-web-later"]) == 2, timeout=60, message="it has changed")
        wait_until_settled()


def test_a_job_that_somebody_deletes_while_it_runs_is_made_again(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, make_crd: MakeCrd, namespace: str,
    kubelet: kubelets.Kubelet, applier: str,
) -> None:  # fmt: skip
    kind = make_crd()
    running = f"/apis/batch/v1/namespaces/{namespace}/jobs/app-web-running"
    with operators.Operator(project(tmp_path, kind, applier), control_plane.kubeconfig):
        spec = {"jobs": {"running": job(image="example.com/runs")}}
        api.create(kind.path(namespace), kind.manifest("web", spec=spec))
        waiting.wait_until(lambda: "app-web-running" in kubelet.runs)
        waiting.wait_until(lambda: (api.get(running).get("status") or {}).get("active") == 1)
        api.delete(running, propagationPolicy="Background")
        waiting.wait_until(lambda: len(kubelet.runs["app-web-running"]) == 2)


def test_a_job_that_failed_and_removed_itself_is_not_run_again_and_said(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, make_crd: MakeCrd, namespace: str,
    kubelet: kubelets.Kubelet, applier: str,
) -> None:  # fmt: skip
    kind = make_crd()
    path = kind.path(namespace, "web")
    jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"

    def message() -> str:
        return str(operators.condition(api.get(path)).get("message", ""))

    with operators.Operator(project(tmp_path, kind, applier), control_plane.kubeconfig):
        spec = {"jobs": {"bad": job(image="example.com/fails", ttlSecondsAfterFinished=1)}}
        api.create(kind.path(namespace), kind.manifest("web", spec=spec))
        waiting.wait_until(lambda: kubelet.runs.get("app-web-bad") and not api.list(jobs), timeout=60)
        waiting.wait_until(lambda: "it has failed, and removed itself" in message())
        assert len(kubelet.runs["app-web-bad"]) == 1
        api.patch(path, {"metadata": {"annotations": {"lostromos.dev/reconcile": "now"}}})
        waiting.wait_until(lambda: len(kubelet.runs["app-web-bad"]) == 2, timeout=60, message="it was asked for")
