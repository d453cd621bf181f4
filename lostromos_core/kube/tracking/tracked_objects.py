"""Parse the metadata of an object that belongs to a resource: its owner, and the fields that our managers own.

Field ownership shows whether another field manager changed one of our fields, without comparing any values: a change
by another manager takes the field away from ours.
Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management.
"""

from __future__ import annotations

import dataclasses
import hashlib
import sys
import weakref
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, final

import orjson

from lostromos_core import interfaces
from lostromos_core.kube import labels
from lostromos_core.kube.tracking import expiry
from lostromos_core.kube.transport import operations, paths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lostromos_core.kube import cluster
    from lostromos_core.kube.kinds import discovery

Key: TypeAlias = tuple[str, str, str, str]
"""Group, kind, namespace and name: the identity of an object, independent of the API version."""


@final
class FieldSet:
    """Hold the fields that one field manager owns (``fieldsV1``); equal sets share one instance to save memory."""

    __slots__ = ("__weakref__", "_text")
    _known: ClassVar[weakref.WeakValueDictionary[bytes, FieldSet]] = weakref.WeakValueDictionary()

    def __init__(self, text: bytes) -> None:
        self._text = text

    @property
    def fields(self) -> Mapping[str, Any]:
        """Return the fields in ``fieldsV1`` format, without the owner references."""
        found: Mapping[str, Any] = orjson.loads(self._text)
        return found

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> FieldSet:
        """Return the shared instance for some fields, without owner references, whose uids would make it unique."""
        metadata = fields.get("f:metadata")
        if isinstance(metadata, dict) and "f:ownerReferences" in metadata:
            kept = {key: value for key, value in metadata.items() if key != "f:ownerReferences"}
            fields = {**fields, "f:metadata": kept}
        text = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
        digest = hashlib.blake2b(text, digest_size=16).digest()
        found = cls._known.get(digest)
        if found is None:
            found = cls._known[digest] = cls(text)
        return found


@final
@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class TrackedObject:
    """Describe an object that carries the labels of an owner. ``applied`` lists our managers that applied it.

    ``owner_uid`` is the uid of its controlling owner reference, ``writer`` the other manager that wrote last, ``end``
    how it has finished if it is a Job, and ``key`` its identity.
    """

    kind: discovery.Kind
    namespace: str
    name: str
    uid: str
    version: int
    owner: str
    digest: str
    unit: str
    wave: int
    orphan: bool
    deleting: bool
    owner_uid: str
    applied: tuple[tuple[str, str, FieldSet], ...]
    writer: str
    end: expiry.End = expiry.End.NONE
    key: Key = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Compute the key once: every index lookup uses it."""
        group = sys.intern(self.kind.group)
        object.__setattr__(self, "key", (group, self.kind.name, self.namespace, self.name))

    @property
    def ref(self) -> interfaces.ObjectRef:
        """Return a reference to the object in the version that we use."""
        return interfaces.ObjectRef(self.kind.api_version, self.kind.name, self.namespace, self.name)

    @property
    def path(self) -> str:
        """Return its path in the API."""
        return paths.item(self.kind.api_version, self.kind.plural, self.namespace, self.name)

    @property
    def ours(self) -> bool:
        """Return whether we applied it: labels and annotations alone may have been copied from another object."""
        return bool(self.applied)

    def field_set(self, manager: str) -> FieldSet | None:
        """Return the fields that one of our managers owns; None if it has not applied the object."""
        return next((shape for name, _, shape in self.applied if name == manager), None)

    def same(self, other: TrackedObject) -> bool:
        """Return whether nothing that we own differs between two observations of an object."""
        return (
            self.uid == other.uid
            and self.digest == other.digest
            and self.owner_uid == other.owner_uid
            and self.deleting == other.deleting
            and self.applied == other.applied
        )


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Owner:
    """Identify the owner of a child by the key of the resource, and its group and kind."""

    key: str
    kind: tuple[str, str]


def read(kind: discovery.Kind, metadata: Mapping[str, Any]) -> tuple[TrackedObject, Owner] | None:
    """Parse metadata into a TrackedObject and its owner; None if its label and owner annotation do not match.

    Strings that many children share are interned: there are tens of thousands of children.
    """
    annotations = metadata.get("annotations") or {}
    written = labels.read_owner(annotations.get(labels.OWNER, ""))
    if written is None:
        return None
    owner, key = written
    set_id = labels.set_id(owner)
    if (metadata.get("labels") or {}).get(labels.PART_OF) != set_id:
        return None
    applied, writer = _managers(metadata.get("managedFields") or ())
    set_id = sys.intern(set_id)
    child = TrackedObject(
        kind=kind,
        namespace=sys.intern(metadata.get("namespace") or ""),
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        version=number(metadata.get("resourceVersion", "")),
        owner=set_id,
        digest=annotations.get(labels.HASH, ""),
        unit=sys.intern(str(annotations.get(labels.UNIT, ""))),
        wave=number(annotations.get(labels.WAVE, "")),
        orphan=annotations.get(labels.ON_DELETE) == "orphan",
        deleting="deletionTimestamp" in metadata,
        owner_uid=owner_uid(metadata.get("ownerReferences") or ()),
        applied=applied,
        writer=writer,
        end=expiry.by_managers(*kind.group_kind, metadata.get("managedFields") or ()),
    )
    return child, Owner(key, (owner.group, owner.kind))


async def of(
    kube: cluster.Cluster, owner: interfaces.ObjectRef, kind: discovery.Kind, namespace: str = ""
) -> list[TrackedObject]:
    """List an owner's children of one kind, in one namespace or (empty) everywhere; raises ApiError."""
    path = paths.collection(kind.api_version, kind.plural, namespace)
    selector = f"{labels.PART_OF}={labels.set_id(owner)}"
    listed = operations.pages(kube, path, action=f"list what belongs to {owner}", labels=selector)
    return [found[0] async for metadata in listed if (found := read(kind, metadata))]


def number(version: object) -> int:
    """Return a resourceVersion or a wave as a number; 0 if it is not one. Source: KEP-5504, versions are comparable."""
    try:
        return int(str(version))
    except ValueError:
        return 0


def owner_uid(references: interfaces.Anything) -> str:
    """Return the uid of the controlling owner; empty without one."""
    return sys.intern(next((str(one.get("uid", "")) for one in references if one.get("controller")), ""))


def _managers(entries: interfaces.Anything) -> tuple[tuple[tuple[str, str, FieldSet], ...], str]:
    applied, writer, written = [], "", ""
    for entry in entries:
        name, time = sys.intern(str(entry.get("manager", ""))), sys.intern(str(entry.get("time", "")))
        if name.startswith(labels.MANAGER) and name.endswith((labels.MARKING, labels.LEFT)):
            continue
        if name.startswith(labels.MANAGER) and entry.get("operation") == "Apply" and not entry.get("subresource"):
            applied.append((name, time, FieldSet.of(entry.get("fieldsV1") or {})))
        elif time >= written:
            writer, written = name, time
    return tuple(applied), writer
