"""The marks that say what belongs to whom: labels, annotations and the finalizer that we write.

A resource and the objects that were applied for it form an ApplySet, so that ``kubectl get -l
applyset.kubernetes.io/part-of=ID`` lists them. Marks on a resource can be changed by whoever may edit it: they are
hints, never proof. Source: https://github.com/kubernetes/enhancements/tree/master/keps/sig-cli/3659-kubectl-apply-prune
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lostromos_core import interfaces

PART_OF: Final = "applyset.kubernetes.io/part-of"
"""Label of a child: the ApplySet that it belongs to."""
SET_ID: Final = "applyset.kubernetes.io/id"
"""Label of a parent: its ApplySet's name."""
TOOLING: Final = "applyset.kubernetes.io/tooling"
GROUP_KINDS: Final = "applyset.kubernetes.io/contains-group-kinds"
NAMESPACES: Final = "applyset.kubernetes.io/additional-namespaces"
OWNER: Final = "lostromos.dev/owner"
"""Annotation of a child: who its owner is, as JSON."""
HASH: Final = "lostromos.dev/desired"
"""Annotation of a child: the digest of what it shall be, without our marks."""
CONTROLLER: Final = "lostromos.dev/controller"
"""Annotation of a parent: the controller that looks after it."""
FINALIZER: Final = "lostromos.dev/cleanup"

OWN_KEYS: Final = frozenset({PART_OF, SET_ID, TOOLING, GROUP_KINDS, NAMESPACES, OWNER, HASH, CONTROLLER})


def set_id(owner: interfaces.ObjectRef) -> str:
    """The name of an owner's ApplySet; computed, never read from the object."""
    text = f"{owner.name}.{owner.namespace}.{owner.kind}.{owner.group}"
    digest = hashlib.sha256(text.encode()).digest()
    return f"applyset-{base64.urlsafe_b64encode(digest).decode().rstrip('=')}-v1"


def owner_value(owner: interfaces.Resource) -> str:
    """The value of a child's owner annotation."""
    ref = owner.ref
    value = {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "uid": owner.uid,
    }
    return orjson.dumps(value).decode()


def claimant(metadata: Mapping[str, Any]) -> str:
    """The controller that says on a resource that it looks after it; empty if none does."""
    return str((metadata.get("annotations") or {}).get(CONTROLLER, ""))
