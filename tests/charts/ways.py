"""The ways to make what a chart describes: Helm by hand, the applier ``helm``, and ``helm-template`` with server-side apply."""

import contextlib
import dataclasses
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from tests import operators
from tests.charts import playing, snapshot
from tests.controlplane import api, cluster, crds, errors, waiting

KIND: Final = crds.CustomKind(group="charts.lostromos.dev", kind="Chart")
NAMESPACE: Final = "charts"
PATIENCE: Final = 300.0
"""Seconds for a chart to be made, or removed."""
NOT_COUNTED: Final = ("leases", "events", "endpoints", "endpointslices", "pods")
"""What controllers, and whoever plays the kubelet, write at any time."""


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What came of a chart: its objects, the writes of some idle seconds, what was left, and what was said if it failed."""

    objects: Mapping[snapshot.Key, snapshot.Item]
    writes: int
    left: Mapping[snapshot.Key, snapshot.Item]
    said: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where charts are tried: a cluster, a Helm, and a folder for files. ``idle``: seconds in which nothing is written."""

    plane: cluster.ControlPlane
    admin: api.Api
    helm: Path
    folder: Path
    values: Path | None
    idle: float

    def by_hand(self, chart: Path, name: str) -> Found:
        """``helm install`` and ``helm uninstall``."""
        with self._fresh() as before:
            values = [f"--values={self.values}"] if self.values else []
            said = self._helm("install", name, str(chart), *values)
            objects, writes = self._look(before)
            said = said or self._helm("uninstall", name, "--wait")
            return Found(objects, writes, self._left(before), said)

    def applier(self, chart: Path, name: str) -> Found:
        """The applier ``helm``."""
        options = {"chart": str(chart), "binary": str(self.helm), "cache": str(self.folder / "cache"), "prefix": ""}
        return self._operator(name, {"render": {"values": {"layout": "spec"}}, "apply": {"helm": options}})

    def renderer(self, chart: Path, name: str, kinds: list[str]) -> Found:
        """The renderer ``helm-template``, and server-side apply. ``kinds`` may be made beside those of the defaults."""
        options = {
            "chart": str(chart), "binary": str(self.helm), "cache": str(self.folder / "cache"), "prefix": "",
            "values": {"layout": "spec"}, "kinds": kinds,
        }  # fmt: skip
        return self._operator(name, {"render": {"helm-template": options}, "apply": {"server-side": {}}})

    def _operator(self, name: str, how: Mapping[str, Any]) -> Found:
        folder = self.folder / "project"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        project = operators.Project(folder)
        watch = {"kubernetes": {"group": KIND.group, "version": KIND.version, "kind": KIND.kind}}
        project.write({"controllers": [{"name": "charts", "watch": watch, **how}]})
        spec = yaml.safe_load(self.values.read_text()) if self.values else {}
        path = KIND.path(NAMESPACE, name)
        with self._fresh() as before, operators.Operator(project, self.plane.kubeconfig):
            self.admin.create(KIND.path(NAMESPACE), KIND.manifest(name, spec=spec))
            said = self._await_ready(path)
            objects, writes = self._look(before)
            self.admin.delete(path)
            with contextlib.suppress(TimeoutError):
                waiting.wait_until(lambda: not self.admin.exists(path), timeout=PATIENCE, interval=0.2)
            if self.admin.exists(path):
                said = f"{said}; it is not removed: {self._message(path)}"
            return Found(objects, writes, self._left(before), said)

    def _await_ready(self, path: str) -> str:
        """Wait until all is there; objects need not be ready: nothing runs here. What is wrong, if it fails for long."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            ready = operators.condition(self.admin.get(path))
            if ready.get("status") == "True" or ready.get("reason") in {"Waiting", "Progressing", "NotReady"}:
                return ""
            time.sleep(0.2)
        return self._message(path)

    def _message(self, path: str) -> str:
        return str(operators.condition(self.admin.get(path)).get("message", "nothing is said"))

    def _helm(self, *command: str) -> str:
        """Call Helm; what it says if it fails."""
        given = [str(self.helm), *command, f"--namespace={NAMESPACE}", f"--kubeconfig={self.plane.kubeconfig}"]
        done = subprocess.run(given, capture_output=True, text=True, check=False, timeout=PATIENCE)
        return done.stderr.strip() if done.returncode else ""

    def _look(self, before: Mapping[snapshot.Key, snapshot.Item]) -> tuple[dict[snapshot.Key, snapshot.Item], int]:
        """What is there when all has settled, and the writes of some idle seconds after that."""
        versions: dict[snapshot.Key, str] = {}
        with contextlib.suppress(TimeoutError):  # something is written again and again, which the writes show

            def settled() -> bool:
                time.sleep(1.5)
                last, now = dict(versions), {key: item.version for key, item in snapshot.take(self.admin).items()}
                versions.clear()
                versions.update(now)
                return last == now

            waiting.wait_until(settled, timeout=60)
        first = self.admin.metrics()
        time.sleep(self.idle)
        last = self.admin.metrics()
        found = {key: item for key, item in snapshot.take(self.admin).items() if key not in before}
        found = {key: item for key, item in found.items() if key[:2] != (KIND.group, KIND.kind)}
        counted = [one.writes() - sum(one.writes(resource=name) for name in NOT_COUNTED) for one in (first, last)]
        return found, counted[1] - counted[0]

    def _left(self, before: Mapping[snapshot.Key, snapshot.Item]) -> dict[snapshot.Key, snapshot.Item]:
        """What is left when nothing goes any more."""
        found: dict[snapshot.Key, snapshot.Item] = {}

        def settled() -> bool:
            time.sleep(1.5)
            last, now = dict(found), snapshot.take(self.admin)
            found.clear()
            found.update({key: item for key, item in now.items() if key not in before})
            return last.keys() == found.keys()

        waiting.wait_until(settled, timeout=60)
        return found

    @contextlib.contextmanager
    def _fresh(self) -> Iterator[Mapping[snapshot.Key, snapshot.Item]]:
        """A namespace, and all that was there before the chart; whatever the chart leaves is removed at the end."""
        path = f"/api/v1/namespaces/{NAMESPACE}"
        waiting.wait_until(lambda: not self.admin.exists(path), timeout=PATIENCE, interval=0.2)
        self.admin.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        waiting.wait_until(lambda: self.admin.exists(f"{path}/serviceaccounts/default"))
        waiting.wait_until(lambda: self.admin.exists(f"{path}/configmaps/{waiting.ROOT_CA}"))
        before = snapshot.take(self.admin)
        with playing.Kubelet(self.admin, NAMESPACE):
            try:
                yield before
            finally:
                left = {key: item for key, item in snapshot.take(self.admin).items() if key not in before}
                for item in left.values():
                    with contextlib.suppress(errors.ApiError):
                        self.admin.delete(item.path)
                self.admin.delete(path)
                waiting.wait_until(lambda: not self.admin.exists(path), timeout=PATIENCE, interval=0.2)
