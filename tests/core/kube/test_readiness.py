"""When objects are ready, kind by kind, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from lostromos_core.kube.reporting import readiness


def item(kind: str, api: str = "v1", *, spec: Any = None, status: Any = None, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec or {}, "status": status or {}}


def condition(kind: str, status: str = "True", **more: str) -> dict[str, str]:
    return {"type": kind, "status": status, **more}


AVAILABLE = {"conditions": [condition("Available")]}
ROLLING = {"updateStrategy": {"rollingUpdate": {"partition": 1}}}
READY = [
    item("ConfigMap"),
    item("Thing", "example.com/v1"),
    item("Thing", "example.com/v1", status={"conditions": [condition("Ready"), "odd"]}, generation=2),
    item("Thing", "example.com/v1", status={"observedGeneration": 2}, generation=2),
    item("Deployment", "apps/v1", status={"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, **AVAILABLE}),
    item("Deployment", "apps/v1", spec={"replicas": 0}, status=AVAILABLE),
    item("ReplicaSet", "apps/v1", status={"availableReplicas": 1}),
    item("StatefulSet", "apps/v1", status={"readyReplicas": 1, "updatedReplicas": 1}),
    item("StatefulSet", "apps/v1", spec={"updateStrategy": {"type": "OnDelete"}}),
    item("StatefulSet", "apps/v1", spec={"replicas": 2, **ROLLING}, status={"readyReplicas": 2, "updatedReplicas": 1}),
    item("DaemonSet", "apps/v1", status={"desiredNumberScheduled": 0}),
    item("Job", "batch/v1", status={"conditions": [condition("Complete")]}),
    item("Pod", status={"phase": "Succeeded"}),
    item("Pod", status={"phase": "Running", "conditions": [condition("Ready")]}),
    item("PersistentVolumeClaim", status={"phase": "Bound"}),
    item("Service"),
    item("Service", spec={"type": "LoadBalancer"}, status={"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}),
    item("Namespace", status={"phase": "Active"}),
    item("PodDisruptionBudget", "policy/v1", status={"observedGeneration": 1}, generation=1),
    item("CustomResourceDefinition", "apiextensions.k8s.io/v1", status={"conditions": [condition("Established")]}),
    item("APIService", "apiregistration.k8s.io/v1", status=AVAILABLE),
]
NOT_READY = [
    (item("ConfigMap", deletionTimestamp="now"), "being deleted"),
    (item("Thing", "example.com/v1", status={"observedGeneration": 1}, generation=2), "has not seen the last change"),
    (item("Thing", "example.com/v1", status={"conditions": [condition("Stalled", message="no quota")]}), "no quota"),
    (item("Thing", "example.com/v1", status={"conditions": [condition("Reconciling")]}), "it is reconciling"),
    (item("Thing", "example.com/v1", status={"conditions": [condition("Ready", "False", reason="Slow")]}), "Slow"),
    (item("Thing", "example.com/v1", status={"conditions": [condition("Ready", "Unknown")]}), "condition Ready is not true"),
    (item("Deployment", "apps/v1"), "0 of 1 replicas are updated"),
    (item("Deployment", "apps/v1", status={"updatedReplicas": 1, "replicas": 2}), "old replicas"),
    (item("Deployment", "apps/v1", status={"updatedReplicas": 1, "replicas": 1}), "0 of 1 replicas are available"),
    (item("Deployment", "apps/v1", spec={"replicas": 0}), "not available yet"),
    (item("Deployment", "apps/v1", status={"conditions": [condition("Progressing", "False", reason="ProgressDeadlineExceeded")]}), "ProgressDeadlineExceeded"),
    (item("ReplicaSet", "apps/v1", spec={"replicas": 2}, status={"availableReplicas": 1}), "1 of 2"),
    (item("StatefulSet", "apps/v1"), "0 of 1 replicas are ready"),
    (item("StatefulSet", "apps/v1", status={"readyReplicas": 1}), "0 of 1 replicas are updated"),
    (item("StatefulSet", "apps/v1", status={"readyReplicas": 1, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}), "being replaced"),
    (item("DaemonSet", "apps/v1"), "not scheduled"),
    (item("DaemonSet", "apps/v1", status={"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1}), "1 of 2 Pods are available"),
    (item("Job", "batch/v1"), "not complete"),
    (item("Job", "batch/v1", status={"conditions": [condition("Failed", message="BackoffLimitExceeded")]}), "BackoffLimitExceeded"),
    (item("Pod"), "it is pending"),
    (item("PersistentVolumeClaim", status={"phase": "Pending"}), "not bound"),
    (item("Service", spec={"type": "LoadBalancer"}), "no address yet"),
    (item("Namespace", status={"phase": "Terminating"}), "terminating"),
    (item("PodDisruptionBudget", "policy/v1"), "has not seen it"),
    (item("CustomResourceDefinition", "apiextensions.k8s.io/v1"), "not established"),
    (item("CustomResourceDefinition", "apiextensions.k8s.io/v1", status={"conditions": [condition("NamesAccepted", "False", message="taken")]}), "taken"),
    (item("APIService", "apiregistration.k8s.io/v1", status={"conditions": [condition("Available", "False", message="no endpoints")]}), "no endpoints"),
]  # fmt: skip


@pytest.mark.parametrize("ready", READY, ids=lambda one: str(one["kind"]))
def test_ready(ready: dict[str, Any]) -> None:
    assert readiness.why_not(ready) == ""


@pytest.mark.parametrize(("unready", "says"), NOT_READY, ids=lambda one: one if isinstance(one, str) else one["kind"])
def test_not_ready(unready: dict[str, Any], says: str) -> None:
    assert says in readiness.why_not(unready)


ODD = [
    "Ready", ["Ready"], 7, True, None, {"conditions": {"Ready": "True"}}, {"conditions": ["Ready"]}, {"conditions": "Ready"},
    {"conditions": [{"type": "Stalled"}]}, {"conditions": [{"type": "Reconciling", "status": None}]}, {"conditions": None},
    {"observedGeneration": "7"}, {"conditions": [{"type": ["Ready"]}]}, {"conditions": [{"status": "True"}]},
]  # fmt: skip


@pytest.mark.parametrize("status", ODD, ids=str)
def test_a_status_of_an_odd_shape_says_nothing(status: Any) -> None:
    thing = {
        "apiVersion": "example.com/v1",
        "kind": "Thing",
        "metadata": {"name": "a", "generation": 1},
        "status": status,
    }
    assert not readiness.why_not(thing)


def test_a_condition_without_a_status_is_not_true() -> None:
    assert readiness.why_not(item("Thing", "example.com/v1", status={"conditions": [{"type": "Ready"}]}))
