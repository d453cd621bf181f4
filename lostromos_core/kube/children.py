"""The objects that belong to resources, as their metadata says: watched, one watch a kind, shared by all controllers.

Only metadata is asked for and little of it is kept. What an object's field managers own says whether somebody else
changed a field of ours, without looking at any value: a foreign change takes the field away from its manager.
Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import sys
import weakref
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias, final

import orjson

from lostromos_core import errors, interfaces
from lostromos_core.kube import marks, paths, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lostromos_core.kube import client, discovery

METADATA: Final = (
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
)
"""What to accept of a watch, and of a list."""

PATIENCE: Final = 30.0
"""Seconds to wait for the first list of a kind; then the caller comes again later."""

Key: TypeAlias = tuple[str, str, str, str]
"""Group, kind, namespace and name: an object's identity, whatever version of its group is spoken."""


@final
class Shape:
    """What one field manager owns of an object (``fieldsV1``); equal ones are one object, for there are few."""

    __slots__ = ("__weakref__", "_text")
    _known: ClassVar[weakref.WeakValueDictionary[bytes, Shape]] = weakref.WeakValueDictionary()

    def __init__(self, text: bytes) -> None:
        self._text = text

    @property
    def fields(self) -> Mapping[str, Any]:
        """The fields, as ``fieldsV1`` writes them, without the owner references."""
        found: Mapping[str, Any] = orjson.loads(self._text)
        return found

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Shape:
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
class Child:
    """An object that carries the marks of an owner. ``applied`` are the managers of ours that applied it.

    ``owner_uid`` is the uid of its controlling owner reference, ``writer`` another manager that wrote last.
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
    applied: tuple[tuple[str, str, Shape], ...]
    writer: str

    @property
    def key(self) -> Key:
        """Its identity."""
        return self.kind.api_version.rpartition("/")[0], self.kind.name, self.namespace, self.name

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

    def shape(self, manager: str) -> Shape | None:
        """What a manager owns of it."""
        return next((shape for name, _, shape in self.applied if name == manager), None)

    def time(self, manager: str) -> str:
        """When a manager changed it last, as the server wrote it."""
        return next((time for name, time, _ in self.applied if name == manager), "")

    def same(self, other: Child) -> bool:
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


def read(kind: discovery.Kind, metadata: Mapping[str, Any]) -> tuple[Child, Owner] | None:
    """An object's metadata as a Child, and its owner; None if its marks do not fit together.

    What many children have in common is kept once: there are ten thousands of them.
    """
    annotations = metadata.get("annotations") or {}
    written = marks.read_owner(annotations.get(marks.OWNER, ""))
    if written is None:
        return None
    owner, key = written
    set_id = marks.set_id(owner)
    if (metadata.get("labels") or {}).get(marks.PART_OF) != set_id:
        return None
    applied, writer = _managers(metadata.get("managedFields") or ())
    set_id = sys.intern(set_id)
    child = Child(
        kind=kind,
        namespace=sys.intern(metadata.get("namespace") or ""),
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        version=number(metadata.get("resourceVersion", "")),
        owner=set_id,
        digest=annotations.get(marks.HASH, ""),
        unit=sys.intern(str(annotations.get(marks.UNIT, ""))),
        wave=number(annotations.get(marks.WAVE, "")),
        orphan=annotations.get(marks.ON_DELETE) == "orphan",
        deleting="deletionTimestamp" in metadata,
        owner_uid=_owner_uid(metadata.get("ownerReferences") or ()),
        applied=applied,
        writer=writer,
    )
    return child, Owner(key, (owner.group, owner.kind))


def number(version: object) -> int:
    """A resourceVersion, or a wave, as a number; 0 if it is none. Source: KEP-5504, versions can be compared."""
    try:
        return int(str(version))
    except ValueError:
        return 0


def _owner_uid(references: Any) -> str:  # noqa: ANN401 - metadata.ownerReferences
    return sys.intern(next((str(one.get("uid", "")) for one in references if one.get("controller")), ""))


def _managers(entries: Any) -> tuple[tuple[tuple[str, str, Shape], ...], str]:  # noqa: ANN401 - metadata.managedFields
    applied, writer, written = [], "", ""
    for entry in entries:
        name, time = sys.intern(str(entry.get("manager", ""))), sys.intern(str(entry.get("time", "")))
        if name.startswith(marks.MANAGER) and entry.get("operation") == "Apply" and not entry.get("subresource"):
            applied.append((name, time, Shape.of(entry.get("fieldsV1") or {})))
        elif time >= written:
            writer, written = name, time
    return tuple(applied), writer


Listener: TypeAlias = "Callable[[str, Child | None, Child | None], None]"
"""Called with the key of an owner, and what one of its objects was and is now (None: not there, or not its own)."""


@final
class Children:
    """All watched children of a cluster. Watches begin when they are needed, and end with the connection."""

    def __init__(self, kube: client.Kube) -> None:
        self._kube = kube
        self._sinks: dict[tuple[str, str, str], _Sink] = {}
        self._sets: dict[str, list[Child]] = {}
        self._owners: dict[str, Owner] = {}
        self._listeners: dict[tuple[str, str], list[Listener]] = {}

    def listen(self, group: str, kind: str, listener: Listener) -> None:
        """Tell about the children of all owners of a kind."""
        self._listeners.setdefault((group, kind), []).append(listener)

    async def ensure(self, kind: discovery.Kind, namespace: str = "") -> None:
        """Watch a kind, in one namespace or (empty) everywhere, and wait until all there is is known.

        Raises ApiError if it cannot be watched.
        """
        sink = self._sinks.get((kind.api_version, kind.plural, ""))
        if sink is None:
            key = (kind.api_version, kind.plural, namespace)
            sink = self._sinks.get(key)
            if sink is None:
                sink = self._sinks[key] = _Sink(self, kind)
                self._kube.background(self._watch(sink, kind, namespace).run(), name=f"watch children {kind.plural}")
        await sink.ready()

    def covers(self, kind: discovery.Kind, namespace: str) -> bool:
        """Whether a kind is watched in a namespace, and all there is is known."""
        plural = kind.api_version, kind.plural
        return any(sink.complete for place in ("", namespace) if (sink := self._sinks.get((*plural, place))))

    def of(self, owner: interfaces.ObjectRef) -> list[Child]:
        """All known children of an owner."""
        return list(self._sets.get(marks.set_id(owner), ()))

    def owners(self, group: str, kind: str) -> list[str]:
        """The keys of all owners of a kind that have children."""
        return [owner.key for owner in self._owners.values() if owner.kind == (group, kind)]

    def count(self, group: str, kind: str) -> int:
        """How many children all owners of a kind have."""
        owners = self._owners.items()
        return sum(len(self._sets[set_id]) for set_id, owner in owners if owner.kind == (group, kind))

    def _watch(self, sink: _Sink, kind: discovery.Kind, namespace: str) -> watch.Watch:
        async def path() -> str:
            found = await self._kube.discovery.kind(kind.api_version, kind.name)
            return paths.collection(found.api_version, found.plural, namespace)

        what = f"{kind.plural} of resources in {namespace or 'all namespaces'}"
        return watch.Watch(self._kube, path, sink, what=what, labels=marks.PART_OF, accept=METADATA)

    def _put(self, child: Child, owner: Owner) -> None:
        """Keep the newest state of a child, and tell."""
        kept = self._sets.setdefault(child.owner, [])
        self._owners[child.owner] = owner
        before = next((one for one in kept if one.key == child.key), None)
        if before is not None:
            kept.remove(before)
        kept.append(child)
        self._tell(owner, before, child)

    def _drop(self, child: Child) -> None:
        """Forget a child, and tell."""
        owner, kept = self._owners[child.owner], self._sets[child.owner]
        kept.remove(child)
        if not kept:
            del self._sets[child.owner], self._owners[child.owner]
        self._tell(owner, child, None)

    def _tell(self, owner: Owner, before: Child | None, now: Child | None) -> None:
        for listener in self._listeners.get(owner.kind, ()):
            listener(owner.key, before, now)


@final
class _Sink:
    """What one watch finds."""

    def __init__(self, children: Children, kind: discovery.Kind) -> None:
        self.complete = False
        self._children = children
        self._kind = kind
        self._known: dict[tuple[str, str], Child] = {}
        self._news = asyncio.Event()
        self._trouble: errors.ApiError | None = None

    async def ready(self) -> None:
        """Wait until all is known; raises what keeps us from knowing it."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not self.complete:
                    if self._trouble is not None:
                        raise _explain(self._trouble, self._kind)
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError as error:
            msg = f"watch {self._kind.plural}: the first list takes long"
            raise errors.ApiError(msg, status=0, retryable=True) from error

    def changed(self, item: dict[str, Any]) -> None:
        metadata = item["metadata"]
        place = metadata.get("namespace") or "", metadata["name"]
        found = read(self._kind, metadata)
        before = self._known.get(place)
        if before is not None and (found is None or found[0].owner != before.owner):
            self.gone(*place)
        if found is not None:
            self._known[place] = found[0]
            self._children._put(*found)  # noqa: SLF001 - its other half

    def gone(self, namespace: str, name: str) -> None:
        child = self._known.pop((namespace, name), None)
        if child is not None:
            self._children._drop(child)  # noqa: SLF001 - its other half

    def broken(self, metadata: Mapping[str, Any], reason: str) -> None:
        """Metadata that cannot be decoded is none that we wrote."""

    def synced(self) -> None:
        self.complete = True
        self._news.set()

    def trouble(self, error: errors.ApiError | None) -> None:
        self._trouble = error
        if error is not None and error.status == watch.NOT_FOUND:
            self._children._kube.discovery.forget(self._kind.api_version, self._kind.name)  # noqa: SLF001 - as above
        self._news.set()


def _explain(error: errors.ApiError, kind: discovery.Kind) -> errors.ApiError:
    if error.status != 403:  # noqa: PLR2004 - HTTP
        return error
    msg = f"{error}; give the operator the verbs list and watch on {kind.plural} ({kind.api_version})"
    return errors.ApiError(msg, status=error.status, reason=error.reason)
