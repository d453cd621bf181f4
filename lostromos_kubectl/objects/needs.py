"""Find what an object needs to become ready, as far as its body names it: Pods do not start without their volumes.

Pure. Used to report that a wave waits for something that only a later wave creates, and so would wait forever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lostromos_core import interfaces
    from lostromos_kubectl.objects import desired_objects

Needed: TypeAlias = tuple[str, str]
"""Kind and name; in the namespace of the object, if the kind is namespaced."""
_PODS: Final = frozenset({"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"})
_VOLUMES: Final = (
    ("configMap", "ConfigMap", "name"),
    ("secret", "Secret", "secretName"),
    ("persistentVolumeClaim", "PersistentVolumeClaim", "claimName"),
)
_SOURCES: Final = (("configMap", "ConfigMap", "name"), ("secret", "Secret", "name"))
_VALUES: Final = (("configMapKeyRef", "ConfigMap", "name"), ("secretKeyRef", "Secret", "name"))
_ENVIRONMENTS: Final = (("configMapRef", "ConfigMap", "name"), ("secretRef", "Secret", "name"))


def from_later(item: desired_objects.Desired, objects: Iterable[desired_objects.Desired]) -> str:
    """Return what an object needs that only a later wave creates, as the end of a message; empty if nothing."""
    wanted = set(_needed(item))
    for other in objects:
        near = other.ref.namespace in {"", item.ref.namespace or _service(item).get("namespace")}
        if other.directives.wave > item.directives.wave and near and (other.ref.kind, other.ref.name) in wanted:
            wave, own = other.directives.wave, item.directives.wave
            return f"; it needs {other.ref}, which is only created in wave {wave}: move it to wave {own} or earlier"
    return ""


def _needed(item: desired_objects.Desired) -> Iterator[Needed]:
    spec = _mapping(item.body.get("spec"))
    if item.ref.kind == "Pod":
        yield from _of_pod(spec)
    elif item.ref.kind in _PODS:
        yield from _of_pod(_mapping(_mapping(spec.get("template")).get("spec")))
    elif item.ref.kind == "PersistentVolumeClaim":
        yield "PersistentVolume", str(spec.get("volumeName"))
        yield "StorageClass", str(spec.get("storageClassName"))
    elif item.ref.kind == "APIService":
        yield "Service", str(_service(item).get("name"))


def _service(item: desired_objects.Desired) -> Mapping[str, Any]:
    """Return the reference of an APIService to its Service, which names a namespace of its own."""
    return _mapping(_mapping(item.body.get("spec")).get("service"))


def _of_pod(spec: Mapping[str, Any]) -> Iterator[Needed]:
    yield "ServiceAccount", str(spec.get("serviceAccountName"))
    for volume in _listed(spec.get("volumes")):
        yield from _references(volume, _VOLUMES)
        for source in _listed(_mapping(volume.get("projected")).get("sources")):
            yield from _references(source, _SOURCES)
    for container in (*_listed(spec.get("initContainers")), *_listed(spec.get("containers"))):
        for variable in _listed(container.get("env")):
            yield from _references(_mapping(variable.get("valueFrom")), _VALUES)
        for source in _listed(container.get("envFrom")):
            yield from _references(source, _ENVIRONMENTS)


def _references(source: Mapping[str, Any], fields: Iterable[tuple[str, str, str]]) -> Iterator[Needed]:
    for field, kind, name in fields:
        found = _mapping(source.get(field))
        if found and found.get("optional") is not True:
            yield kind, str(found.get(name))


def _listed(value: interfaces.Json) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _mapping(value: interfaces.Json) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
