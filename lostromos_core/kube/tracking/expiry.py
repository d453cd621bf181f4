"""Detect objects that delete themselves after they finish: Jobs with ``ttlSecondsAfterFinished``.

Their deletion is not drift, and recreating them would run them again.
Source: https://kubernetes.io/docs/concepts/workloads/controllers/ttlafterfinished/
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Final

from lostromos_core import interfaces

if TYPE_CHECKING:
    from collections.abc import Mapping

JOB: Final = ("batch", "Job")
TTL: Final = "ttlSecondsAfterFinished"


class End(enum.Enum):
    """Describe how an object has finished; falsy if it has not."""

    NONE = ""
    COMPLETE = "it has completed, and removed itself"
    FAILED = "it has failed, and removed itself; change it, or annotate the resource with lostromos.dev/reconcile"

    def __bool__(self) -> bool:
        """Return whether it has finished."""
        return self is not End.NONE


def goes_by_itself(data: Mapping[str, Any]) -> bool:
    """Return whether an object, as applied, deletes itself after it finishes."""
    if (interfaces.group_of(str(data.get("apiVersion", ""))), data.get("kind")) != JOB:
        return False
    spec = data.get("spec")
    return isinstance(spec, dict) and spec.get(TTL) is not None


def by_status(item: Mapping[str, Any]) -> End:
    """Return how a Job has finished, according to its status."""
    status = item.get("status")
    conditions = status.get("conditions") if isinstance(status, dict) else None
    for one in conditions if isinstance(conditions, list) else ():
        if isinstance(one, dict) and one.get("status") == "True" and one.get("type") in {"Complete", "Failed"}:
            return End.COMPLETE if one["type"] == "Complete" else End.FAILED
    return End.NONE


def by_managers(group: str, kind: str, entries: interfaces.Anything) -> End:
    """Return how a Job has finished, judging by which status fields its ``managedFields`` list.

    Measured on Kubernetes 1.37: a Job that completed has ``completionTime``; one that failed has conditions and failed
    Pods, and no active ones.
    """
    if (group, kind) != JOB:
        return End.NONE
    for entry in entries:
        status = (entry.get("fieldsV1") or {}).get("f:status") or {}
        if "f:completionTime" in status:
            return End.COMPLETE
        if "f:conditions" in status and "f:failed" in status and "f:active" not in status:
            return End.FAILED
    return End.NONE
