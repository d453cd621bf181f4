"""A project with a chart of its own, an operator on it, and Helm by hand; every call of Helm is written down."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import operators
from tests.controlplane import crds, errors

if TYPE_CHECKING:
    from tests.conftest import MakeCrd
    from tests.controlplane import api as apis
    from tests.controlplane import cluster

CHARTS = Path(__file__).with_name("charts")


@dataclasses.dataclass(frozen=True, slots=True)
class World:
    """One kind, whose resources become releases of the chart ``app``: a ConfigMap ``RELEASE`` with ``text``, and more."""

    folder: Path
    plane: cluster.ControlPlane
    api: apis.Api
    crd: crds.CustomKind
    namespace: str
    helm: Path

    @property
    def chart(self) -> Path:
        return self.folder / "app"

    def project(self, *, render: Any = None, watch: Any = None, top: Any = None, **options: Any) -> operators.Project:
        """The configuration; the chart is a copy that may be changed."""
        made = operators.Project(self.folder)
        if not self.chart.exists():
            shutil.copytree(CHARTS / "app", self.chart)
        spy = self.folder / "helm"
        if not spy.exists():
            spy.write_text(f'#!/bin/sh\necho "$@" >> {self.folder}/calls\nexec {self.helm} "$@"\n')
            spy.chmod(0o755)
        kind = {"group": self.crd.group, "version": self.crd.version, "kind": self.crd.kind}
        given = {"chart": "app", "binary": str(spy), "cache": str(self.folder / "cache"), "timeout": 60, **options}
        controller = {
            "name": "app",
            "watch": {"kubernetes": {**kind, **(watch or {})}},
            "render": render or {"values": {"layout": "spec"}},
            "apply": {"helm": given},
        }
        made.write({"controllers": [controller], **(top or {})})
        return made

    def operator(self, **options: Any) -> operators.Operator:
        return operators.Operator(self.project(**options), self.plane.kubeconfig)

    def calls(self, verb: str = "") -> list[str]:
        """What Helm was called with, but for its version."""
        file = self.folder / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line for line in lines if not line.startswith("version") and line.startswith(verb)]

    def by_hand(self, *arguments: str) -> Any:
        """Call Helm as a person does; its JSON, if it prints some."""
        command = [str(self.helm), *arguments, f"--kubeconfig={self.plane.kubeconfig}", f"--namespace={self.namespace}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        return json.loads(done.stdout) if "--output=json" in arguments else done.stdout

    def create(self, name: str, **spec: Any) -> None:
        self.api.create(self.crd.path(self.namespace), self.crd.manifest(name, spec=spec))

    def update(self, name: str, **spec: Any) -> None:
        self.api.patch(self.path(name), {"spec": spec})

    def path(self, name: str) -> str:
        return self.crd.path(self.namespace, name)

    def resource(self, name: str) -> Any:
        return self.api.get(self.path(name))

    def is_ready(self, name: str) -> bool:
        return operators.is_ready(self.resource(name))

    def release(self, name: str) -> Any:
        return (self.resource(name).get("status") or {}).get("release") or {}

    def message(self, name: str) -> str:
        return str(operators.condition(self.resource(name)).get("message", ""))

    def map_path(self, name: str) -> str:
        return f"/api/v1/namespaces/{self.namespace}/configmaps/{name}"

    def data(self, name: str) -> Any:
        """The data of a ConfigMap, None if there is none."""
        try:
            return self.api.get(self.map_path(name)).get("data", {})
        except errors.ApiError as error:
            if error.status != 404:
                raise
            return None

    def revisions(self, release: str) -> list[tuple[int, str]]:
        secrets = self.api.list(f"/api/v1/namespaces/{self.namespace}/secrets", labelSelector=f"name={release}")
        return sorted(
            (int(one["metadata"]["labels"]["version"]), one["metadata"]["labels"]["status"]) for one in secrets
        )


@pytest.fixture
def world(
    tmp_path: Path,
    control_plane: cluster.ControlPlane,
    api: apis.Api,
    make_crd: MakeCrd,
    namespace: str,
    helm: Path,
) -> World:
    release = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    status = {**crds.STATUS, "properties": {**crds.STATUS["properties"], "release": release}}
    return World(tmp_path, control_plane, api, make_crd(status=status), namespace, helm)
