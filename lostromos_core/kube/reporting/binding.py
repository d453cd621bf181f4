"""Detect unused PersistentVolumeClaims, which stay unbound if their StorageClass waits for the first consumer.

Source: https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode
"""

from __future__ import annotations

import http
from typing import TYPE_CHECKING, Any, Final

from lostromos_core import errors
from lostromos_core.kube.transport import paths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lostromos_core.kube.transport import client

CLASSES: Final = ("storage.k8s.io/v1", "storageclasses")
CLASS: Final = "volume.beta.kubernetes.io/storage-class"
"""Annotation of a claim that predates the field for its StorageClass."""
SELECTED: Final = "volume.kubernetes.io/selected-node"
"""Annotation of a claim whose first consumer has been scheduled: its volume is now provisioned."""


def is_unused(item: Mapping[str, Any]) -> bool:
    """Return whether an object is a PersistentVolumeClaim that is neither bound nor used by a scheduled Pod."""
    if (item.get("apiVersion"), item.get("kind")) != ("v1", "PersistentVolumeClaim"):
        return False
    bound = (item.get("spec") or {}).get("volumeName") or (item.get("status") or {}).get("phase") == "Bound"
    return not bound and SELECTED not in (item["metadata"].get("annotations") or {})


async def why_not(kube: client.Transport, claim: Mapping[str, Any], why: str) -> str:
    """Return why an unused claim is not ready, as far as known; empty if it only waits for its first consumer.

    ``why`` is the reason that is known without its StorageClass. Raises ApiError.
    """
    annotations = claim["metadata"].get("annotations") or {}
    name = (claim.get("spec") or {}).get("storageClassName", annotations.get(CLASS))
    if not name:
        return why
    try:
        found = await kube.request("GET", paths.item(*CLASSES, "", name), action=f"read StorageClass {name}")
    except errors.RefusedError:
        return why
    except errors.ApiError as error:
        if error.status == http.HTTPStatus.NOT_FOUND:
            return f"{why}; there is no StorageClass {name}"
        if error.status == http.HTTPStatus.FORBIDDEN:
            needs = "give the operator the verb get on storageclasses in storage.k8s.io"
            return f"{why}; whether it waits for its first consumer cannot be known: {needs}"
        raise
    return "" if found.get("volumeBindingMode") == "WaitForFirstConsumer" else why
