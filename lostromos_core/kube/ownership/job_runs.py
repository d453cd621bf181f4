"""Record Jobs that ran once for a resource and deleted themselves, in an annotation on it or on its ConfigMap.

Anyone who may edit the resource can change the annotation, which affects only whether its own Jobs run again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lostromos_core.kube import labels
from lostromos_core.kube.managed_fields import applying
from lostromos_core.kube.transport import media_types, operations

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from lostromos_core.kube import cluster


def read(metadata: Mapping[str, Any]) -> Collection[str]:
    """Return the names that identify the recorded Jobs."""
    return labels.split((metadata.get("annotations") or {}).get(labels.RAN))


async def write(
    kube: cluster.Cluster, path: str, about: Mapping[str, Any], names: Collection[str], controller: str
) -> Mapping[str, Any]:
    """Write the names that identify Jobs to an object, and return its metadata; raises ApiError.

    ``about``: apiVersion, kind and metadata with the object's name, namespace and uid, so that no object is created.
    """
    metadata = {**about["metadata"], "annotations": {labels.RAN: ",".join(sorted(names))}}
    answer = await applying.apply(
        kube,
        path,
        action="remember which Jobs have run",
        query=operations.apply_query(f"{labels.MANAGER}{controller}/runs{labels.MARKING}", force=True),
        body={**about, "metadata": metadata},
        accept=media_types.METADATA_ONLY,
    )
    found: Mapping[str, Any] = answer["metadata"]
    return found
