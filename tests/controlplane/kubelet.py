"""Plays the kubelet where tests need Pods that run: there are no nodes here."""

import contextlib
import datetime as dt
import threading
from typing import Self

from tests.controlplane import api, errors


def run_pods(admin: api.Api, namespace: str) -> None:
    """Say of all Pods of a namespace that they run and are ready; their controllers do the rest."""
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    kinds = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    conditions = [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in kinds]
    for pod in admin.list(f"/api/v1/namespaces/{namespace}/pods"):
        if (pod.get("status") or {}).get("phase") != "Running":
            path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/status"
            admin.patch(path, {"status": {"phase": "Running", "conditions": conditions}})


class Kubelet:
    """Ends all Pods of a namespace, and writes down the Jobs that there were: their uids by name, in ``runs``."""

    def __init__(self, admin: api.Api, namespace: str) -> None:
        self.runs: dict[str, list[str]] = {}
        self._api = admin
        self._namespace = namespace
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._play)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._stop.set()
        self._thread.join()

    def _play(self) -> None:
        while not self._stop.wait(0.05):
            with contextlib.suppress(errors.ApiError, errors.UnreachableError):
                self._once()

    def _once(self) -> None:
        for one in self._api.list(f"/apis/batch/v1/namespaces/{self._namespace}/jobs"):
            uids = self.runs.setdefault(one["metadata"]["name"], [])
            if one["metadata"]["uid"] not in uids:
                uids.append(one["metadata"]["uid"])
        for pod in self._api.list(f"/api/v1/namespaces/{self._namespace}/pods"):
            image = pod["spec"]["containers"][0]["image"]
            phase = "" if "runs" in image else "Failed" if "fails" in image else "Succeeded"
            if phase and pod["status"].get("phase") == "Pending":
                path = f"/api/v1/namespaces/{self._namespace}/pods/{pod['metadata']['name']}/status"
                self._api.patch(path, {"status": {"phase": phase}})
