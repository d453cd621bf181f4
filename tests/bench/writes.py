"""The requests that one resource needs at least: its mark, its four objects and its status, each one server-side apply.

They are what the operator sends, so that the floor's cost for the API server is the operator's: the objects come from
the same templates (`lostromos render`), with marks of the same size.
"""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests import operators
from tests.bench import workload
from tests.controlplane import api

SAMPLE: Final = "name-of-the-resource"
MANAGER: Final = "fieldManager=floor&force=false"
STATUS_MANAGER: Final = "fieldManager=floor-status&force=true"
SET_ID: Final = "applyset-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG-v1"
PLURALS: Final = {
    "ConfigMap": "configmaps",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "Deployment": "deployments",
}

Request = tuple[str, api.Json]
"""Path and query, and the body of a server-side apply."""


def render(project: operators.Project, folder: Path) -> Sequence[api.Json]:
    """The four objects of a resource with the name SAMPLE, as the operator's templates make them."""
    file = folder / "sample.json"
    file.write_text(json.dumps(workload.resource(SAMPLE, namespace="sample")))
    done = operators.lostromos("render", "-c", str(project.config), "-f", str(file), "-o", "json")
    if done.returncode:
        raise subprocess.SubprocessError(f"the templates cannot be rendered: {done.stderr}")
    objects: Sequence[api.Json] = json.loads(done.stdout)
    return objects


def of(owner: api.Json, objects: Sequence[api.Json]) -> list[Request]:
    """All writes for one resource, in order; `objects` are those of SAMPLE."""
    return [_mark(owner), *(_child(owner, item) for item in objects), _status(owner, objects)]


def _mark(owner: api.Json) -> Request:
    annotations = {
        "applyset.kubernetes.io/tooling": "lostromos/0.1.0",
        "applyset.kubernetes.io/contains-group-kinds": "ConfigMap,Deployment.apps,Service,ServiceAccount",
        # Not the operator's: it would release what it finds claimed by itself in other namespaces.
        "lostromos.dev/controller": "flo",
    }
    body = _identity(owner, labels={"applyset.kubernetes.io/id": SET_ID}, annotations=annotations)
    return f"{_path(owner)}?{MANAGER}", body


def _child(owner: api.Json, item: api.Json) -> Request:
    metadata = owner["metadata"]
    named: api.Json = json.loads(json.dumps(item).replace(SAMPLE, metadata["name"]))
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": metadata["name"]}
    mark = reference | {"namespace": metadata["namespace"], "uid": metadata["uid"]}
    named["metadata"]["namespace"] = metadata["namespace"]
    named["metadata"]["labels"]["applyset.kubernetes.io/part-of"] = SET_ID
    named["metadata"]["annotations"] = {
        "lostromos.dev/owner": json.dumps(mark, separators=(",", ":")),
        "lostromos.dev/desired": "0123456789abcdef01234567",
    }
    named["metadata"]["ownerReferences"] = [reference | {"uid": metadata["uid"], "controller": True}]
    collection = workload.children_path(PLURALS[item["kind"]], metadata["namespace"])
    return f"{collection}/{metadata['name']}?{MANAGER}", named


def _status(owner: api.Json, objects: Sequence[api.Json]) -> Request:
    status = {
        "observedGeneration": 1,
        "conditions": [
            _condition("Ready", value="True", reason="Applied", message="4 objects up to date"),
            _condition("Reconciling", value="False", reason="NotReconciling", message=""),
            _condition("Stalled", value="False", reason="NotStalled", message=""),
        ],
        "resources": [_entry(owner, item) for item in objects],
    }
    return f"{_path(owner)}/status?{STATUS_MANAGER}", _identity(owner) | {"status": status}


def _identity(owner: api.Json, **metadata: Any) -> api.Json:
    identity = {key: owner["metadata"][key] for key in ("name", "namespace", "uid")}
    return {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "metadata": identity | metadata}


def _condition(kind: str, *, value: str, reason: str, message: str) -> api.Json:
    return {
        "type": kind,
        "status": value,
        "reason": reason,
        "message": message,
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


def _entry(owner: api.Json, item: api.Json) -> api.Json:
    metadata = owner["metadata"]
    head = {"apiVersion": item["apiVersion"], "kind": item["kind"]}
    return head | {"namespace": metadata["namespace"], "name": metadata["name"], "action": "created"}


def _path(owner: api.Json) -> str:
    return workload.KIND.path(owner["metadata"]["namespace"], owner["metadata"]["name"])
