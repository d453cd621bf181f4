"""An object that belongs to a resource, as its metadata says it: whose it is, and what our managers own of it.

What an object's field managers own says whether somebody else changed a field of ours, without looking at any value:
a foreign change takes the field away from its manager.
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
"""Group, kind, namespace and name: an object's identity, whatever version of its group is spoken."""


@final
class FieldSet:
    """What one field manager owns of an object (``fieldsV1``); equal ones are one object, for there are few."""

    __slots__ = ("__weakref__", "_text")
    _known: ClassVar[weakref.WeakValueDictionary[bytes, FieldSet]] = weakref.WeakValueDictionary()

    def __init__(self, text: bytes) -> None:
        self._text = text

    @property
    def fields(self) -> Mapping[str, Any]:
        """The fields, as ``fieldsV1`` writes them, without the owner references."""
        found: Mapping[str, Any] = orjson.loads(self._text)
        return found

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> FieldSet:
        """The shape of some fields. The owner references are left out: they hold a uid, so no two were equal."""
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
    """An object that carries the marks of an owner. ``applied`` are the managers of ours that applied it.

    ``owner_uid`` is the uid of its controlling owner reference, ``writer`` another manager that wrote last, ``end`` how
    it has ended, if it is a Job, ``key`` its identity.
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
        """Make the key once: it is what every index is asked for."""
        group = sys.intern(self.kind.api_version.rpartition("/")[0])
        object.__setattr__(self, "key", (group, self.kind.name, self.namespace, self.name))

    @property
    def ref(self) -> interfaces.ObjectRef:
        """Its identity in the version that we speak."""
        return interfaces.ObjectRef(self.kind.api_version, self.kind.name, self.namespace, self.name)

    @property
    def path(self) -> str:
        """Where it lives at the API server."""
        return paths.item(self.kind.api_version, self.kind.plural, self.namespace, self.name)

    @property
    def ours(self) -> bool:
        """Whether we applied it: marks alone can be copied together with the rest of an object."""
        return bool(self.applied)

    def shape(self, manager: str) -> FieldSet | None:
        """What a manager owns of it."""
        return next((shape for name, _, shape in self.applied if name == manager), None)

    def same(self, other: TrackedObject) -> bool:
        """Whether nothing that we own was touched between two looks at it."""
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
    """Whose a child is: the key of the resource, and its group and kind."""

    key: str
    kind: tuple[str, str]


def read(kind: discovery.Kind, metadata: Mapping[str, Any]) -> tuple[TrackedObject, Owner] | None:
    """An object's metadata as a Child, and its owner; None if its marks do not fit together.

    What many children have in common is kept once: there are ten thousands of them.
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
        end=expiry.by_managers(kind.api_version.rpartition("/")[0], kind.name, metadata.get("managedFields") or ()),
    )
    return child, Owner(key, (owner.group, owner.kind))


async def of(
    kube: cluster.Cluster, owner: interfaces.ObjectRef, kind: discovery.Kind, namespace: str = ""
) -> list[TrackedObject]:
    """The children of an owner of one kind, in one namespace or (empty) everywhere, asked for; raises ApiError."""
    path = paths.collection(kind.api_version, kind.plural, namespace)
    selector = f"{labels.PART_OF}={labels.set_id(owner)}"
    listed = operations.pages(kube, path, action=f"list what belongs to {owner}", labels=selector)
    return [found[0] async for metadata in listed if (found := read(kind, metadata))]


def number(version: object) -> int:
    """A resourceVersion, or a wave, as a number; 0 if it is none. Source: KEP-5504, versions can be compared."""
    try:
        return int(str(version))
    except ValueError:
        return 0


def owner_uid(references: Any) -> str:  # noqa: ANN401 - metadata.ownerReferences
    """The uid of the controlling owner; empty if there is none."""
    return sys.intern(next((str(one.get("uid", "")) for one in references if one.get("controller")), ""))


def _managers(entries: Any) -> tuple[tuple[tuple[str, str, FieldSet], ...], str]:  # noqa: ANN401 - metadata.managedFields
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
