"""The marks that say what belongs to whom: labels, annotations and the finalizer that we write.

A resource and the objects that were applied for it form an ApplySet, so that ``kubectl get -l
applyset.kubernetes.io/part-of=ID`` lists them. Marks on a resource can be changed by whoever may edit it: they are
hints, never proof. Source: https://github.com/kubernetes/enhancements/tree/master/keps/sig-cli/3659-kubectl-apply-prune
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
FIELDS: Final = "lostromos.dev/applied-fields"
"""Annotation of a child: which fields were applied last; see ``remembered``."""
CONTROLLER: Final = "lostromos.dev/controller"
"""Annotation of a parent: the controller that looks after it."""
OPERATOR: Final = "lostromos.dev/operator"
"""Annotation of a parent: the operator that this controller belongs to; see ``identity``."""
FINALIZER: Final = "lostromos.dev/cleanup"
UNIT: Final = "lostromos.dev/unit"
"""Annotation of a child: the template file that made it."""
RAN: Final = "lostromos.dev/ran"
"""Annotation of a parent: Jobs that were made once, since they remove themselves when they have ended."""
MANAGER: Final = "lostromos/"
"""Begins the names of our field managers; the controller's name follows."""
MARKING: Final = "/marks"
"""Ends the name of the field manager that marks resources: what it owns of an object is nothing that we applied."""
LEFT: Final = "/left"
"""Ends the name of the field manager of fields that no template sets any more, and that keep their value."""

OWN_KEYS: Final = frozenset({
    PART_OF, SET_ID, TOOLING, GROUP_KINDS, NAMESPACES, OWNER, HASH, FIELDS, CONTROLLER, OPERATOR, UNIT, RAN,
})  # fmt: skip

ADOPT: Final = "lostromos.dev/adopt"
"""Annotation in a template: take over an object of this name that exists and is not ours."""
WAVE: Final = "lostromos.dev/wave"
"""Annotation in a template: apply in this wave, a whole number; a wave begins when the one before is ready."""
CREATE_ONLY: Final = "lostromos.dev/create-only"
"""Annotation in a template: create it, and never change it afterwards."""
ON_DELETE: Final = "lostromos.dev/on-delete"
"""Annotation in a template: ``orphan`` leaves the object where it is when it is no longer wanted."""
RECREATE: Final = "lostromos.dev/recreate"
"""Annotation in a template: delete and create it again if a field has changed that cannot be changed."""
CONFLICTS: Final = "lostromos.dev/conflicts"
"""Annotation in a template: ``fail``, ``force`` or ``yield``, instead of the controller's policy."""

RECONCILE: Final = "lostromos.dev/reconcile"
"""Annotation of a resource: a new value asks for everything to be applied again, now."""
ALLOW_PRUNE: Final = "lostromos.dev/allow-prune"
"""Annotation of a resource: how many objects may be pruned at once."""


@functools.lru_cache(maxsize=4096)
def set_id(owner: interfaces.ObjectRef) -> str:
    """The name of an owner's ApplySet; computed, never read from the object."""
    text = f"{owner.name}.{owner.namespace}.{owner.kind}.{owner.group}"
    digest = hashlib.sha256(text.encode()).digest()
    return f"applyset-{base64.urlsafe_b64encode(digest).decode().rstrip('=')}-v1"


def owner_value(owner: interfaces.Resource) -> str:
    """The value of a child's owner annotation. Sources other than Kubernetes have keys of their own."""
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
    """Who is named by an owner annotation, and the key; None if it is none of ours."""
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
    """The key of a resource that is a Kubernetes object: ``namespace/name``, or the name."""
    return f"{ref.namespace}/{ref.name}" if ref.namespace else ref.name


def group_kinds(hint: object) -> list[tuple[str, str]]:
    """The groups and kinds that a hint names: ``ConfigMap,Deployment.apps``."""
    parts = (part.partition(".") for part in split(hint))
    return [(group, kind) for kind, _, group in parts]


def split(hint: object) -> list[str]:
    """The parts of a hint, which is a list with commas; each once, in order."""
    return sorted({part for part in str(hint or "").split(",") if part})


def claimant(metadata: Mapping[str, Any]) -> str:
    """The controller that says on a resource that it looks after it; empty if none does."""
    return str((metadata.get("annotations") or {}).get(CONTROLLER, ""))
