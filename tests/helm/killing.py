"""Helm, or the operator, is killed (kill -9) at each of the requests of an operation: it always ends in the same state."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import operators
from tests.chaos import actions, proxy
from tests.controlplane import waiting

if TYPE_CHECKING:
    from tests.chaos import records
    from tests.helm.conftest import World

MOST = 60
"""No operation on a release of three objects takes as many requests."""
BEFORE = {"text": "one", "extra": ["a", "b"]}
AFTER = {"text": "two", "extra": ["b", "c"]}


class Killer:
    """Kills the operator, or its Helm, at the n-th request of either; what a write asked for has been done by then."""

    def __init__(self, chaos: proxy.ChaosProxy, victim: str) -> None:
        self._victim, self._left, self._pid = victim, 0, 0
        self.struck = False
        self._lock = threading.Lock()
        writes = ("PATCH", "POST", "PUT", "DELETE")
        for method, moment in (("GET", actions.BEFORE), *((one, actions.AFTER) for one in writes)):
            chaos.add(actions.Call(self._count, at=moment), method=method, predicate=self._counts)

    def arm(self, pid: int, after: int) -> None:
        with self._lock:
            self._pid, self._left, self.struck = pid, after, False

    def disarm(self) -> bool:
        """Whether it has struck; it will not any more."""
        with self._lock:
            self._left = 0
            return self.struck

    def _counts(self, record: records.Record) -> bool:
        return self._victim == "operator" or record.user_agent.lower().startswith("helm")

    def _count(self, _: records.Record) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self.struck = True
                self._kill()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split()
            for pid in [self._pid] if self._victim == "operator" else map(int, children):
                os.kill(pid, signal.SIGKILL)


def maps(world: World, release: str) -> dict[str, Any]:
    items = world.api.list(
        f"/api/v1/namespaces/{world.namespace}/configmaps", labelSelector="app.kubernetes.io/managed-by=Helm"
    )
    ours = [one for one in items if one["metadata"]["annotations"]["meta.helm.sh/release-name"] == release]
    return {one["metadata"]["name"].removeprefix(release): one["data"]["text"] for one in ours}


def kill_at_each_request(world: World, folder: Path, victim: str, how: str) -> None:
    """Do it again and again, each time with a kill one request later, until an operation survives."""
    made, plane = world.project(), world.plane
    folder.mkdir()
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=folder) as chaos:
        killer, operator = Killer(chaos, victim), operators.Operator(made, chaos.kubeconfig, covered=False)
        with operator:
            for after in range(1, MOST):
                name = f"web{after}"
                if how == "upgrade":
                    world.create(name, **BEFORE)
                    waiting.wait_until(lambda name=name: world.is_ready(name), timeout=60)  # type: ignore[misc]
                armed = operator.pid
                killer.arm(armed, after)
                if how == "upgrade":
                    world.update(name, **AFTER)
                else:
                    world.create(name, **BEFORE)
                waiting.wait_until(
                    lambda name=name: not operator.running or world.is_ready(name),  # type: ignore[misc]
                    timeout=60,
                )
                if not operator.running:
                    operator.start()
                waiting.wait_until(lambda name=name: world.is_ready(name), timeout=60)  # type: ignore[misc]
                spec = AFTER if how == "upgrade" else BEFORE
                assert maps(world, f"app-{name}") == {
                    "": spec["text"],
                    **{f"-{one}": spec["text"] for one in spec["extra"]},
                }
                assert world.revisions(f"app-{name}")[-1][1] == "deployed"
                if not killer.disarm():
                    break
                if victim == "operator" and operator.pid == armed:  # killed after all was done
                    waiting.wait_until(lambda: not operator.running)
                    operator.start()
    assert 4 < after < MOST - 1, "every request of the operation was the last one once"
    assert "a bug" not in operator.log
