"""All objects of a cluster at one moment, without what differs between two objects that were made alike."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.controlplane import api, crds, errors, waiting

Key = tuple[str, str, str, str]
"""Group, kind, namespace and name."""
IGNORED: Final = {
    ("", "Event"), ("events.k8s.io", "Event"), ("", "Endpoints"), ("discovery.k8s.io", "EndpointSlice"),
    ("coordination.k8s.io", "Lease"), ("", "Pod"), ("apps", "ReplicaSet"), ("apps", "ControllerRevision"),
    ("", "Namespace"), ("", "ComponentStatus"), ("networking.k8s.io", "IPAddress"), ("", "Node"),
}  # fmt: skip
"""Kinds that controllers make, or nobody's."""
EVERYWHERE: Final = {("ConfigMap", waiting.ROOT_CA), ("ServiceAccount", "default")}
"""What each namespace gets a moment after it was made."""
BOOKKEEPING: Final = {
    "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "ownerReferences", "finalizers",
    "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds",
}  # fmt: skip
OURS: Final = ("applyset.kubernetes.io/", "lostromos.dev/", "meta.helm.sh/", "deployment.kubernetes.io/")
MANAGED: Final = "app.kubernetes.io/managed-by"
AUTOMATIC: Final = "kube-aggregator.kubernetes.io/automanaged"
"""Label of APIServices that the API server makes for definitions."""
HOOK: Final = "helm.sh/hook"


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """One object: where it is, what it is, its version, and whether a chart made it as a hook."""

    path: str
    body: Mapping[str, Any]
    version: str
    hook: bool


def take(admin: api.Api) -> dict[Key, Item]:
    """Every object that can be listed, but for those that controllers make."""
    return {key: item for collection, about in _collections(admin) for key, item in _items(admin, collection, *about)}


def _collections(admin: api.Api) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """The paths of all kinds, in the version that their group prefers, with group, kind and plural."""
    for root in ("/api", "/apis"):
        for group in admin.get(root, accept=crds.AGGREGATED_DISCOVERY)["items"]:
            name = group["metadata"].get("name", "")
            seen: set[str] = set()
            for version in group["versions"]:
                for one in version.get("resources") or []:
                    kind = (one.get("responseKind") or {}).get("kind", "")
                    if "list" in one["verbs"] and one["resource"] not in seen and (name, kind) not in IGNORED:
                        seen.add(one["resource"])
                        where = f"{root}/{name}/{version['version']}" if name else f"{root}/{version['version']}"
                        yield f"{where}/{one['resource']}", (name, kind, one["resource"])


def _items(admin: api.Api, collection: str, group: str, kind: str, plural: str) -> Iterator[tuple[Key, Item]]:
    try:
        listed = admin.list(collection)
    except errors.ApiError:
        return  # an API server of its own that does not answer, or a kind that has just gone
    for one in listed:
        metadata = one["metadata"]
        if any(owner.get("controller") and owner["apiVersion"].endswith("/v1") and owner["kind"] in {
            "Job", "Deployment", "StatefulSet", "DaemonSet", "CronJob",
        } for owner in metadata.get("ownerReferences") or []):  # fmt: skip
            continue
        if one.get("type") == "helm.sh/release.v1" or AUTOMATIC in (metadata.get("labels") or {}):
            continue
        namespace, name = metadata.get("namespace") or "", metadata["name"]
        if (kind, name) in EVERYWHERE:
            continue
        base = collection.removesuffix(f"/{plural}")
        path = f"{base}/namespaces/{namespace}/{plural}/{name}" if namespace else f"{collection}/{name}"
        hook = HOOK in (metadata.get("annotations") or {})
        yield (group, kind, namespace, name), Item(path, _bare(one), metadata["resourceVersion"], hook)


def _bare(one: Mapping[str, Any]) -> Mapping[str, Any]:
    """An object without its status and what is written on it by whoever made it."""
    metadata = {key: value for key, value in one["metadata"].items() if key not in BOOKKEEPING}
    for field in ("labels", "annotations"):
        pairs = {key: value for key, value in (metadata.pop(field, None) or {}).items() if not key.startswith(OURS)}
        if pairs.get(MANAGED) == "Helm":
            del pairs[MANAGED]
        if pairs:
            metadata[field] = pairs
    rest = {key: value for key, value in one.items() if key not in {"status", "metadata", "apiVersion", "kind"}}
    return {**rest, "metadata": metadata}
