"""Determine whether an object is ready, from its status and generation, by the rules of kstatus.

Source: https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md. One rule differs on purpose:
a Job is ready when it is complete, since later objects need its results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lostromos_core import interfaces

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Json = Mapping[str, Any]

AT_ONCE: Final = frozenset(
    {
        "ConfigMap", "Secret", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding",
        "NetworkPolicy", "ResourceQuota", "LimitRange", "PriorityClass", "StorageClass", "IngressClass", "RuntimeClass",
    }
)  # fmt: skip
"""Built-in kinds that are ready as soon as they exist."""


def at_once(group: str, kind: str) -> bool:
    """Return whether objects of a kind are ready as soon as they exist, without a check."""
    return kind in AT_ONCE and ("." not in group or group.endswith(".k8s.io"))


def why_not(item: Json) -> str:
    """Return why an object is not ready, in a few words; empty if it is."""
    metadata, status = item.get("metadata") or {}, _status(item)
    if "deletionTimestamp" in metadata:
        return "it is being deleted"
    seen = status.get("observedGeneration")
    if isinstance(seen, int) and seen < int(metadata.get("generation") or 0):
        return "its controller has not seen the last change yet"
    if (said := _condition(item, "Stalled")) and said.get("status") == "True":
        return _message(said, "it is stalled")
    if (said := _condition(item, "Reconciling")) and said.get("status") == "True":
        return _message(said, "it is reconciling")
    group = interfaces.group_of(str(item.get("apiVersion", "")))
    rule = _RULES.get((group, str(item.get("kind"))))
    return rule(item, item.get("spec") or {}, status) if rule else _by_ready(item)


def _status(item: Json) -> Json:
    """Return an object's status; empty if it is not a mapping, as may happen with custom kinds."""
    found = item.get("status")
    return found if isinstance(found, dict) else {}


def _condition(item: Json, kind: str) -> Json | None:
    conditions = _status(item).get("conditions")
    listed = conditions if isinstance(conditions, list) else ()
    return next((one for one in listed if isinstance(one, dict) and one.get("type") == kind), None)


def _message(condition: Json, otherwise: str) -> str:
    return str(condition.get("message") or condition.get("reason") or otherwise)


def _needs(item: Json, kind: str, otherwise: str) -> str:
    """Return an empty string if a condition is true, else why it is not."""
    found = _condition(item, kind)
    if found and found.get("status") == "True":
        return ""
    return _message(found, otherwise) if found else otherwise


def _by_ready(item: Json) -> str:
    """Return why the condition Ready is not true; empty if it is true, or the object has no such condition."""
    found = _condition(item, "Ready")
    return "" if found is None or found.get("status") == "True" else _message(found, "its condition Ready is not true")


def _deployment(item: Json, spec: Json, status: Json) -> str:
    wanted = int(spec.get("replicas", 1))
    failed = _condition(item, "Progressing")
    if failed and failed.get("reason") == "ProgressDeadlineExceeded":
        return _message(failed, "its progress deadline is exceeded")
    if int(status.get("updatedReplicas") or 0) < wanted:
        return f"{status.get('updatedReplicas') or 0} of {wanted} replicas are updated"
    if int(status.get("replicas") or 0) > int(status.get("updatedReplicas") or 0):
        return "old replicas are being removed"
    if int(status.get("availableReplicas") or 0) < wanted:
        return f"{status.get('availableReplicas') or 0} of {wanted} replicas are available"
    return _needs(item, "Available", "it is not available yet")


def _replica_set(_: Json, spec: Json, status: Json) -> str:
    wanted = int(spec.get("replicas", 1))
    there = int(status.get("availableReplicas") or 0)
    return "" if there >= wanted else f"{there} of {wanted} replicas are available"


def _stateful_set(_: Json, spec: Json, status: Json) -> str:
    if (spec.get("updateStrategy") or {}).get("type") == "OnDelete":
        return ""
    wanted = int(spec.get("replicas", 1))
    if int(status.get("readyReplicas") or 0) < wanted:
        return f"{status.get('readyReplicas') or 0} of {wanted} replicas are ready"
    partition = int(((spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition") or 0)
    updated = int(status.get("updatedReplicas") or 0)
    if updated < wanted - partition:
        return f"{updated} of {wanted - partition} replicas are updated"
    if not partition and status.get("currentRevision") != status.get("updateRevision"):
        return "old replicas are being replaced"
    return ""


def _daemon_set(_: Json, __: Json, status: Json) -> str:
    if "desiredNumberScheduled" not in status:
        return "its Pods are not scheduled yet"
    wanted = int(status["desiredNumberScheduled"])
    for field, what in (
        ("updatedNumberScheduled", "updated"),
        ("numberAvailable", "available"),
        ("numberReady", "ready"),
    ):
        if int(status.get(field) or 0) < wanted:
            return f"{status.get(field) or 0} of {wanted} Pods are {what}"
    return ""


def _job(item: Json, _: Json, __: Json) -> str:
    failed = _condition(item, "Failed")
    if failed and failed.get("status") == "True":
        return _message(failed, "it has failed")
    return _needs(item, "Complete", "it is not complete yet")


def _pod(item: Json, _: Json, status: Json) -> str:
    if status.get("phase") == "Succeeded":
        return ""
    return _needs(item, "Ready", f"it is {str(status.get('phase') or 'pending').lower()}")


def _claim(_: Json, __: Json, status: Json) -> str:
    return "" if status.get("phase") == "Bound" else "it is not bound yet"


def _service(_: Json, spec: Json, status: Json) -> str:
    if spec.get("type") == "LoadBalancer":
        return "" if (status.get("loadBalancer") or {}).get("ingress") else "its load balancer has no address yet"
    return ""


def _definition(item: Json, _: Json, __: Json) -> str:
    accepted = _condition(item, "NamesAccepted")
    if accepted and accepted.get("status") == "False":
        return _message(accepted, "its names are taken")
    return _needs(item, "Established", "it is not established yet")


def _namespace(_: Json, __: Json, status: Json) -> str:
    return "it is terminating" if status.get("phase") == "Terminating" else ""


def _budget(item: Json, _: Json, status: Json) -> str:
    if "observedGeneration" not in status:
        return "its controller has not seen it yet"
    return _by_ready(item)


_RULES: Final[Mapping[tuple[str, str], Callable[[Json, Json, Json], str]]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("batch", "Job"): _job,
    ("", "Pod"): _pod,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Service"): _service,
    ("", "Namespace"): _namespace,
    ("policy", "PodDisruptionBudget"): _budget,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("apiregistration.k8s.io", "APIService"): lambda item, _, __: _needs(item, "Available", "it is not available yet"),
}
