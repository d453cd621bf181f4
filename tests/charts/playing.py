"""Plays the kubelet while charts are tried: Pods run, and those of Jobs end."""

import contextlib
import datetime as dt
import threading
from types import TracebackType
from typing import Self

from tests.controlplane import api, errors


class Kubelet:
    """Looks at the Pods of a namespace again and again, as long as the ``with`` block lasts."""

    def __init__(self, admin: api.Api, namespace: str) -> None:
        self._admin = admin
        self._namespace = namespace
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._play)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _play(self) -> None:
        while not self._end.wait(0.2):
            with contextlib.suppress(errors.ApiError, errors.UnreachableError):
                for pod in self._admin.list(f"/api/v1/namespaces/{self._namespace}/pods"):
                    if pod["status"].get("phase") == "Pending":
                        self._begin(pod)

    def _begin(self, pod: api.Json) -> None:
        ends = any(owner["kind"] == "Job" for owner in pod["metadata"].get("ownerReferences") or [])
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        kinds = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
        conditions = [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in kinds]
        status = {"phase": "Succeeded"} if ends else {"phase": "Running", "conditions": conditions}
        path = f"/api/v1/namespaces/{self._namespace}/pods/{pod['metadata']['name']}/status"
        self._admin.patch(path, {"status": status})
