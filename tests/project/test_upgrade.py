"""From version 0.1 to this one: what it applied stays as it is, and is looked after from then on."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests import operators
from tests.controlplane import binaries, waiting

if TYPE_CHECKING:
    from tests.conftest import MakeCrd
    from tests.controlplane import api as apis
    from tests.controlplane import cluster, crds

ROOT: Final = Path(__file__).parents[2]
VERSION_0_1: Final = "55c34019e553cdc7773f507e7f7dcb00c484516e"
"""The commit that was version 0.1."""
PACKAGES: Final = ("lostromos_core", "lostromos_kubectl", "lostromos_helm")
PLUGIN: Final = "docs/how-to/folder-plugin/lostromos_folder.py"
TEMPLATE: Final = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ resource.metadata.name }}"}
data: {text: "{{ resource.spec.text }}"}
---
apiVersion: v1
kind: Service
metadata: {name: "{{ resource.metadata.name }}", annotations: {lostromos.dev/wave: "1"}}
spec:
  selector: {app: "{{ resource.metadata.name }}"}
  ports:
    - {port: 80, name: http}
    - {port: 443, name: https}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: "{{ resource.metadata.name }}"}
spec:
  replicas: 0
  selector: {matchLabels: {app: "{{ resource.metadata.name }}"}}
  template:
    metadata: {labels: {app: "{{ resource.metadata.name }}"}}
    spec: {containers: [{name: main, image: example.com/none, env: [{name: TEXT, value: "{{ resource.spec.text }}"}]}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "{{ resource.metadata.namespace }}-{{ resource.metadata.name }}"}
rules: []
"""
ELSEWHERE: Final = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ resource.metadata.name }}", namespace: "NAMESPACE"}
data: {text: "{{ resource.spec.text }}"}
"""
CHART: Final = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}"}
data: {text: {{ .Values.text | quote }}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: "{{ .Release.Name }}"}
"""
APPLIERS: Final = {"direct": 20, "kubectl": 10, "release": 10, "folder": 10}
"""How many resources each applier has; those of ``folder`` are files, which another plug-in watches."""


@pytest.fixture(scope="module")
def version_0_1(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The PYTHONPATH with which everything is version 0.1, from its wheels, and the plug-in that its docs had."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("version-0.1")
    packed = subprocess.run(["git", "archive", VERSION_0_1], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(source, filter="data")
    places = [str(source), *[str(source / name) for name in PACKAGES[1:]]]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", f"--target={target}", *places]
    subprocess.run(command, check=True, capture_output=True)
    found = operators.with_plugin(source / PLUGIN, tmp_path_factory.mktemp("plugin-0.1"))
    return os.pathsep.join([str(target), found])


@dataclasses.dataclass
class World:
    """Fifty resources: most in the cluster, some in a folder."""

    folder: Path
    api: apis.Api
    kind: crds.CustomKind
    namespace: str
    elsewhere: str

    def names(self) -> list[tuple[str, str]]:
        return [(how, f"{how}-{number}") for how, count in APPLIERS.items() for number in range(count)]

    def write(self, how: str, name: str, text: str) -> None:
        if how == "folder":
            (self.folder / "in" / f"{name}.json").write_text(json.dumps({"text": text}))
            return
        made = self.kind.manifest(name, spec={"text": text}, labels={"how": how})
        self.api.apply(self.kind.path(self.namespace, name), made, manager="developer")

    def remove(self, how: str, name: str) -> None:
        if how == "folder":
            (self.folder / "in" / f"{name}.json").unlink()
        else:
            self.api.delete(self.kind.path(self.namespace, name))

    def all_say(self, text: str) -> bool:
        """Whether all resources are ready, and their objects say this."""
        own = self.api.list(self.kind.path(self.namespace))
        maps = [*self.maps(self.namespace), *self.maps(self.elsewhere)]
        return all(map(operators.is_ready, own)) and [one["data"].get("text") for one in maps] == [text] * 50

    def maps(self, namespace: str) -> list[dict[str, Any]]:
        found = self.api.list(f"/api/v1/namespaces/{namespace}/configmaps")
        return [one for one in found if "text" in one.get("data", {})]

    def objects(self) -> dict[str, tuple[str, str]]:
        """The uid and version of all that was made, whoever made it."""
        found = [*self.maps(self.namespace), *self.maps(self.elsewhere)]
        found += self.api.list(f"/api/v1/namespaces/{self.namespace}/services")
        found += self.api.list(f"/apis/apps/v1/namespaces/{self.namespace}/deployments")
        accounts = self.api.list(f"/api/v1/namespaces/{self.namespace}/serviceaccounts")
        found += [one for one in accounts if one["metadata"]["name"] != "default"]
        roles = self.api.list("/apis/rbac.authorization.k8s.io/v1/clusterroles")
        found += [one for one in roles if one["metadata"]["name"].startswith(self.namespace)]
        return {
            f"{number} {one['metadata']['name']}": (one["metadata"]["uid"], one["metadata"]["resourceVersion"])
            for number, one in enumerate(found)
        }

    def releases(self) -> list[str]:
        secrets = self.api.list(f"/api/v1/namespaces/{self.namespace}/secrets", labelSelector="owner=helm")
        return sorted(one["metadata"]["name"] for one in secrets)

    def everything_went(self) -> bool:
        return not (self.api.list(self.kind.path(self.namespace)) or self.objects() or self.releases())


def project(world: World) -> operators.Project:
    made = operators.Project(world.folder)
    made.template("all.yaml", TEMPLATE)
    (world.folder / "elsewhere").mkdir()
    (world.folder / "elsewhere" / "map.yaml").write_text(ELSEWHERE.replace("NAMESPACE", world.elsewhere))
    (world.folder / "chart" / "templates").mkdir(parents=True)
    (world.folder / "chart" / "Chart.yaml").write_text("apiVersion: v2\nname: app\nversion: 1.0.0\n")
    (world.folder / "chart" / "templates" / "all.yaml").write_text(CHART)
    (world.folder / "in").mkdir()
    helm = {"chart": "chart", "binary": str(binaries.helm("helm-3")), "cache": str(world.folder / "cache")}
    how: dict[str, dict[str, Any]] = {
        "direct": {"apply": {"server-side": {}}},
        "kubectl": {"apply": {"kubectl": {}}},
        "release": {"render": {"values": {"layout": "spec"}}, "apply": {"helm": helm}},
        "folder": {
            "watch": {"folder": {"path": str(world.folder / "in")}},
            "render": {"jinja": {"templates": "elsewhere"}},
            "apply": {"server-side": {"inventoryNamespace": world.elsewhere}},
        },
    }
    controllers = [
        {**operators.controller(world.kind, name=name, watch={"labels": f"how={name}"}), **options}
        for name, options in how.items()
    ]
    made.write({"controllers": controllers})
    return made


@pytest.mark.timeout(600)
def test_what_version_0_1_applied_costs_no_write_and_is_looked_after(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, make_crd: MakeCrd, namespace: str,
    version_0_1: str, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    world = World(tmp_path, api, make_crd(), namespace, f"{namespace}-elsewhere")
    api.create("/api/v1/namespaces", {"metadata": {"name": world.elsewhere}})
    made = project(world)
    for how, name in world.names():
        world.write(how, name, "one")
    with monkeypatch.context() as patched:
        patched.setenv("PYTHONPATH", version_0_1)
        with operators.Operator(made, control_plane.kubeconfig) as operator:
            waiting.wait_until(lambda: world.all_say("one"), timeout=180, interval=1, message="0.1 has applied all")
            assert "identity" not in operator.log, "0.1 has no identity: it is another version that runs"
    before = world.objects(), world.releases()
    assert len(before[0]) == 30 * 4 + 10 * 2 + 10
    monkeypatch.setenv("PYTHONPATH", operators.with_plugin(ROOT / PLUGIN, tmp_path / "plugin"))
    with operators.Operator(made, control_plane.kubeconfig, "--log-level=debug") as operator:
        operator.says("reconciled", times=50, timeout=120)
        waiting.wait_until(lambda: world.all_say("one"), timeout=60, interval=1)
        time.sleep(3)
        assert (world.objects(), world.releases()) == before, "nothing is written again"
        for how, name in world.names():
            world.write(how, name, "two")
        waiting.wait_until(lambda: world.all_say("two"), timeout=180, interval=1, message="all edits arrive")
        assert {uid for uid, _ in world.objects().values()} == {uid for uid, _ in before[0].values()}
        for how, name in world.names():
            world.remove(how, name)
        waiting.wait_until(world.everything_went, timeout=120, interval=1, message="nothing is left behind")
        assert "a bug" not in operator.log
    api.delete(f"/api/v1/namespaces/{world.elsewhere}")
