"""Handle owner references that block deletion: a foreground deletion of the owner waits for its objects.

With the admission plug-in OwnerReferencesPermissionEnforcement (enabled on OpenShift), setting ``blockOwnerDeletion``
requires permission to set finalizers on the owner. Without it, the reference is sent without that field.
Source: https://kubernetes.io/docs/concepts/architecture/garbage-collection/#foreground-deletion
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import structlog

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lostromos_core import interfaces

BLOCKS: Final = "blockOwnerDeletion"
_REFUSED: Final = re.compile(r"cannot set blockOwnerDeletion")
_log = structlog.get_logger("lostromos.applier")


def without_blocking(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata whose controlling owner reference does not block deletion of the owner."""
    kept = [
        {key: value for key, value in one.items() if key != BLOCKS} if one.get("controller") else one
        for one in metadata["ownerReferences"]
    ]
    return {**metadata, "ownerReferences": kept}


def are_refused(answer: object, ref: interfaces.ObjectRef) -> bool:
    """Return whether an object was refused only because it blocks deletion of its owner, and log a warning."""
    if not isinstance(answer, errors.ApiError) or not _REFUSED.search(answer.message):
        return False
    _log.warning(
        "`kubectl delete --cascade=foreground` will not wait for objects: give the operator the verb update on the "
        "subresource finalizers of the resources that it looks after",
        object=str(ref),
    )
    return True
