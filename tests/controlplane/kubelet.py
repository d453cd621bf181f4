"""Plays the kubelet where tests need Pods that run or end: there are no nodes here."""

import abc
import contextlib
import datetime as dt
import threading
from typing import Final, Self

from tests.controlplane import api, errors

PAUSE: Final = 0.05
"""Seconds between two looks at the Pods."""


def run_pods(admin: api.Api, namespace: str) -> None:
    """Say of all Pods of a namespace that they run and are ready; their controllers do the rest."""
    for pod in admin.list(f"/api/v1/namespaces/{namespace}/pods"):
        if (pod.get("status") or {}).get("phase") != "Running":
            say(admin, pod, running())


def running() -> api.Json:
    """The status of a Pod that runs and is ready."""
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    kinds = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    return {
        "phase": "Running",
        "conditions": [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in kinds],
    }


def say(admin: api.Api, pod: api.Json, status: api.Json) -> None:
    """Write the status of a Pod."""
    about = pod["metadata"]
    admin.patch(f"/api/v1/namespaces/{about['namespace']}/pods/{about['name']}/status", {"status": status})


class Playing(abc.ABC):
    """Looks at the Pods of a namespace again and again, as long as the ``with`` block lasts."""

    def __init__(self, admin: api.Api, namespace: str) -> None:
        self._admin = admin
        self._namespace = namespace
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._play)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._end.set()
        self._thread.join()

    def _play(self) -> None:
        while not self._end.wait(PAUSE):
            with contextlib.suppress(errors.ApiError, errors.UnreachableError):
                self.look()

    def look(self) -> None:
        """Look once."""
        self.play(self.pods())

    def pods(self) -> list[api.Json]:
        """The Pods that there are."""
        return self._admin.list(f"/api/v1/namespaces/{self._namespace}/pods")

    def play(self, pods: list[api.Json]) -> None:
        """Say of those that are pending what becomes of them."""
        for pod in pods:
            if pod["status"].get("phase") == "Pending" and (status := self.outcome(pod)):
                say(self._admin, pod, status)

    @abc.abstractmethod
    def outcome(self, pod: api.Json) -> api.Json:
        """What becomes of a Pod that is pending: its status, or nothing, if it stays so."""


class Kubelet(Playing):
    """Ends all Pods, and writes down the Jobs that there were: their uids by name, in ``runs``."""

    def __init__(self, admin: api.Api, namespace: str) -> None:
        super().__init__(admin, namespace)
        self.runs: dict[str, list[str]] = {}

    def look(self) -> None:
        """Write down the Jobs before one of the Pods ends: so none of theirs is gone by then."""
        pods = self.pods()
        for one in self._admin.list(f"/apis/batch/v1/namespaces/{self._namespace}/jobs"):
            uids = self.runs.setdefault(one["metadata"]["name"], [])
            if one["metadata"]["uid"] not in uids:
                uids.append(one["metadata"]["uid"])
        self.play(pods)

    def outcome(self, pod: api.Json) -> api.Json:
        """As the name of the image says: it goes on, fails or succeeds."""
        image = pod["spec"]["containers"][0]["image"]
        return {} if "runs" in image else {"phase": "Failed" if "fails" in image else "Succeeded"}
