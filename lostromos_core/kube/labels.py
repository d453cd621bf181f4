"""Define the labels, annotations and the finalizer that we write to record ownership.

A resource and the objects that were applied for it form an ApplySet, so that ``kubectl get -l
applyset.kubernetes.io/part-of=ID`` lists them. Anyone who may edit a resource can change its labels and annotations:
they are hints, never proof. Source: https://github.com/kubernetes/enhancements/tree/master/keps/sig-cli/3659-kubectl-apply-prune
"""

from __future__ import annotations

import base64
import functools
import hashlib
from typing import TYPE_CHECKING, Any, Final

import orjson

from lostromos_core import interfaces

if TYPE_CHECKING:
    from collections.abc import Mapping

PART_OF: Final = "applyset.kubernetes.io/part-of"
"""Label of a child: the ID of the ApplySet that it belongs to."""
SET_ID: Final = "applyset.kubernetes.io/id"
"""Label of a parent: the ID of its ApplySet."""
TOOLING: Final = "applyset.kubernetes.io/tooling"
GROUP_KINDS: Final = "applyset.kubernetes.io/contains-group-kinds"
NAMESPACES: Final = "applyset.kubernetes.io/additional-namespaces"
OWNER: Final = "lostromos.dev/owner"
"""Annotation of a child: its owner, as JSON."""
HASH: Final = "lostromos.dev/desired"
"""Annotation of a child: the digest of its desired state, without our labels and annotations."""
FIELDS: Final = "lostromos.dev/applied-fields"
"""Annotation of a child: the fields that were applied last; see ``managed_fields.last_applied``."""
CONTROLLER: Final = "lostromos.dev/controller"
"""Annotation of a parent: the controller that reconciles it."""
OPERATOR: Final = "lostromos.dev/operator"
"""Annotation of a parent: the operator that this controller belongs to; see ``identity``."""
FINALIZER: Final = "lostromos.dev/cleanup"
UNIT: Final = "lostromos.dev/unit"
"""Annotation of a child: the template file that it was rendered from."""
RAN: Final = "lostromos.dev/ran"
"""Annotation of a parent: Jobs that were created once and delete themselves after they finish."""
MANAGER: Final = "lostromos/"
"""Prefix of the names of our field managers; the controller's name follows."""
MARKING: Final = "/marks"
"""Suffix of the field manager that writes our labels and annotations; its fields do not count as applied."""
LEFT: Final = "/left"
"""Suffix of the field manager of fields that keep their value although no template sets them any more."""

OWN_KEYS: Final = frozenset({
    PART_OF, SET_ID, TOOLING, GROUP_KINDS, NAMESPACES, OWNER, HASH, FIELDS, CONTROLLER, OPERATOR, UNIT, RAN,
})  # fmt: skip

ADOPT: Final = "lostromos.dev/adopt"
"""Annotation in a template: take over an existing object of this name that is not ours."""
WAVE: Final = "lostromos.dev/wave"
"""Annotation in a template: the wave, an integer, to apply it in; a wave starts when the previous one is ready."""
CREATE_ONLY: Final = "lostromos.dev/create-only"
"""Annotation in a template: create the object, and never change it afterwards."""
ON_DELETE: Final = "lostromos.dev/on-delete"
"""Annotation in a template: ``orphan`` keeps the object in the cluster when it is no longer wanted."""
RECREATE: Final = "lostromos.dev/recreate"
"""Annotation in a template: delete and recreate the object if an immutable field has changed."""
CONFLICTS: Final = "lostromos.dev/conflicts"
"""Annotation in a template: ``fail``, ``force`` or ``yield``, instead of the controller's policy."""

RECONCILE: Final = "lostromos.dev/reconcile"
"""Annotation of a resource: a new value requests that everything be applied again immediately."""
ALLOW_PRUNE: Final = "lostromos.dev/allow-prune"
"""Annotation of a resource: the number of objects that may be pruned at once."""


@functools.lru_cache(maxsize=4096)
def set_id(owner: interfaces.ObjectRef) -> str:
    """Return the ID of an owner's ApplySet; computed, never read from the object."""
    text = f"{owner.name}.{owner.namespace}.{owner.kind}.{owner.group}"
    digest = hashlib.sha256(text.encode()).digest()
    return f"applyset-{base64.urlsafe_b64encode(digest).decode().rstrip('=')}-v1"


def owner_value(owner: interfaces.Resource) -> str:
    """Return the value of a child's owner annotation, with the key of an owner that is not a Kubernetes object."""
    ref = owner.ref
    value = {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "uid": owner.uid,
    }
    if owner.key != key_of(ref):
        value["key"] = owner.key
    return orjson.dumps(value).decode()


def read_owner(text: str) -> tuple[interfaces.ObjectRef, str] | None:
    """Return the owner that an owner annotation names, and its key; None if we did not write the annotation."""
    try:
        written = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(written, dict):
        return None
    fields = ("apiVersion", "kind", "namespace", "name")
    parts = [part for field in fields if isinstance(part := written.get(field), str)]
    if len(parts) != len(fields):
        return None
    owner = interfaces.ObjectRef(*parts)
    return owner, str(written.get("key") or key_of(owner))


def key_of(ref: interfaces.ObjectRef) -> str:
    """Return the key of a resource that is a Kubernetes object: ``namespace/name``, or the name."""
    return interfaces.join_key(ref.namespace, ref.name)


def group_kinds(hint: object) -> list[tuple[str, str]]:
    """Return the groups and kinds that a hint names: ``ConfigMap,Deployment.apps``."""
    parts = (part.partition(".") for part in split(hint))
    return [(group, kind) for kind, _, group in parts]


def split(hint: object) -> list[str]:
    """Return the parts of a hint, a comma-separated list, sorted and without duplicates."""
    return sorted({part for part in str(hint or "").split(",") if part})


def claimant(metadata: Mapping[str, Any]) -> str:
    """Return the controller that has claimed a resource; empty if no controller has."""
    return str((metadata.get("annotations") or {}).get(CONTROLLER, ""))
