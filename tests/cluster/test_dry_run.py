"""A dry run of everything that an operator can do: the API server keeps none of it, and is right about what would be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests import operators
from tests.controlplane import api as apis
from tests.controlplane import binaries, cluster, crds, metrics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMESPACE = "default"
MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
SERVERS = {"flowcontrol.apiserver.k8s.io", "apiregistration.k8s.io"}
TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata: {{name: "{{{{ resource.metadata.name }}}}-{name}", annotations: {{{notes}}}}}
{more}
data: {{text: {text}}}
"""
CHART = """\
apiVersion: v1
kind: ConfigMap
metadata: {{name: "{{{{ .Release.Name }}}}-text"}}
data: {{text: {text}}}
"""


@pytest.fixture
def plane() -> Iterator[cluster.ControlPlane]:
    """A control plane without others that write."""
    with cluster.ControlPlane() as made:
        yield made


@pytest.fixture
def admin(plane: cluster.ControlPlane) -> Iterator[apis.Api]:
    with apis.Api(plane.access()) as made:
        yield made


def template(name: str, text: str, *, notes: str = "", more: str = "") -> str:
    return TEMPLATE.format(name=name, text=text, notes=notes, more=more)


def kept(admin: apis.Api) -> int:
    """How many writes the API server was asked to keep: it counts those of dry runs apart."""
    found = admin.metrics()
    return found.writes(dry_run="") - sum(found.writes(dry_run="", group=group) for group in SERVERS) - _leases(found)


def _leases(found: metrics.Metrics) -> int:
    """The API server renews a Lease of its own."""
    return found.writes(dry_run="", resource="leases", scope="resource")


def world(admin: apis.Api, kind: crds.CustomKind) -> dict[str, str]:
    """The version of each object that could have been touched."""
    paths = (
        MAPS,
        kind.path(),
        "/api/v1/namespaces/default/secrets",
        "/apis/coordination.k8s.io/v1/namespaces/default/leases",
    )
    items = [item for path in paths for item in admin.list(path)]
    return {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in items}


def once(made: operators.Project, plane: cluster.ControlPlane, *arguments: str) -> dict[str, Any]:
    done = operators.lostromos(
        "run", "--once", "--output=json", f"--config={made.config}", f"--kubeconfig={plane.kubeconfig}", *arguments
    )
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def actions(found: dict[str, Any], name: str) -> dict[str, str]:
    [resource] = [one for one in found["resources"] if one["resource"] == f"{NAMESPACE}/{name}"]
    return {item["name"].removeprefix(f"{name}-"): item["action"] for item in resource["objects"]}


@pytest.mark.parametrize("applier", ["server-side", "kubectl"])
def test_a_dry_run_of_manifests_keeps_nothing_and_tells_everything(
    applier: str, tmp_path: Path, plane: cluster.ControlPlane, admin: apis.Api
) -> None:
    kind = crds.CustomKind(group="dry.example.com")
    crds.create(admin, crds.definition(kind))
    recreate = 'lostromos.dev/recreate: "true"'
    before = {
        "text.yaml": template("text", "one"),
        "same.yaml": template("same", "same"),
        "old.yaml": template("old", "one"),
        "fixed.yaml": template("fixed", "one", notes=recreate, more="immutable: true"),
    }
    options = {applier: {"finalizer": "always", "prune": {"objects": 100, "share": 1, "controllerShare": 1}}}
    made = operators.project(tmp_path, kind, templates=before, apply=options, watch={"labels": "tier=web"})
    for name in ("web", "going", "left"):
        admin.create(kind.path(NAMESPACE), kind.manifest(name, labels={"tier": "web"}))
    assert once(made, plane)["ready"]
    # Now everything is to be done at once, and nothing of it is.
    for name, text in {
        "text.yaml": template("text", "two"),
        "fixed.yaml": template("fixed", "two", notes=recreate, more="immutable: true"),
        "adopted.yaml": template("adopted", "two", notes='lostromos.dev/adopt: "true"'),
    }.items():
        made.template(name, text)
    (made.folder / "templates" / "old.yaml").unlink()
    for name in ("web", "going", "left", "new"):
        admin.create(MAPS, {"metadata": {"name": f"{name}-adopted"}, "data": {"text": "theirs"}})
    admin.create(kind.path(NAMESPACE), kind.manifest("new", labels={"tier": "web"}))
    admin.delete(kind.path(NAMESPACE, "going"))
    admin.patch(kind.path(NAMESPACE, "left"), {"metadata": {"labels": {"tier": "x"}}})
    writes, objects = kept(admin), world(admin, kind)
    found = once(made, plane, "--dry-run")
    assert kept(admin) == writes
    assert world(admin, kind) == objects
    assert actions(found, "web") == {
        "text": "updated", "same": "unchanged", "fixed": "updated", "adopted": "updated", "old": "pruned",
    }  # fmt: skip
    assert actions(found, "new") == {"text": "created", "same": "created", "fixed": "created", "adopted": "updated"}
    assert {one["resource"]: one["reason"] for one in found["resources"]} == {
        f"{NAMESPACE}/web": "Applied",
        f"{NAMESPACE}/new": "Applied",
        f"{NAMESPACE}/going": "Deleted",
        f"{NAMESPACE}/left": "Released",
    }
    # And what it told is what is done. What is recreated takes a second look, and what is pruned waits for that.
    done = actions(once(made, plane), "web")
    assert {key: done[key] for key in ("text", "same", "adopted")} == {
        key: actions(found, "web")[key] for key in ("text", "same", "adopted")
    }


@pytest.mark.parametrize("version", ["helm-3", "helm-4"])
def test_a_dry_run_of_releases_keeps_nothing(
    version: str, tmp_path: Path, plane: cluster.ControlPlane, admin: apis.Api
) -> None:
    kind = crds.CustomKind(group="dry.example.com")
    crds.create(admin, crds.definition(kind))
    chart = tmp_path / "chart" / "templates"
    chart.mkdir(parents=True)
    (chart.parent / "Chart.yaml").write_text("apiVersion: v2\nname: text\nversion: 1.0.0\n")
    (chart / "map.yaml").write_text(CHART.format(text="one"))
    apply = {"helm": {"chart": "chart", "binary": str(binaries.helm(version)), "cache": str(tmp_path / "cache")}}
    made = operators.Project(tmp_path)
    controller = operators.controller(kind, apply=apply, watch={"labels": "tier=web"})
    del controller["render"]
    made.write({"controllers": [controller]})
    for name in ("web", "going", "left"):
        admin.create(kind.path(NAMESPACE), kind.manifest(name, labels={"tier": "web"}))
    assert once(made, plane)["ready"]
    (chart / "map.yaml").write_text(CHART.format(text="two"))
    admin.create(kind.path(NAMESPACE), kind.manifest("new", labels={"tier": "web"}))
    admin.delete(kind.path(NAMESPACE, "going"))
    admin.patch(kind.path(NAMESPACE, "left"), {"metadata": {"labels": {"tier": "x"}}})
    writes, objects = kept(admin), world(admin, kind)
    found = once(made, plane, "--dry-run")
    assert kept(admin) == writes
    assert world(admin, kind) == objects
    reasons = {one["resource"].partition("/")[2]: one["reason"] for one in found["resources"]}
    assert reasons == {"web": "Applied", "new": "Applied", "going": "Deleted", "left": "Released"}
