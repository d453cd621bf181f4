"""Plays the kubelet where tests need Pods that run: there are no nodes here."""

import datetime as dt

from tests.controlplane import api


def run_pods(admin: api.Api, namespace: str) -> None:
    """Say of all Pods of a namespace that they run and are ready; their controllers do the rest."""
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    kinds = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    conditions = [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in kinds]
    for pod in admin.list(f"/api/v1/namespaces/{namespace}/pods"):
        if (pod.get("status") or {}).get("phase") != "Running":
            path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/status"
            admin.patch(path, {"status": {"phase": "Running", "conditions": conditions}})
