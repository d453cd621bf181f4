"""What both appliers do alike: an owner's objects as one set, applied in order, found again, deleted in reverse.

How objects are sent is the only difference, so that is an interface of one method: Sender. Each object goes
through the same steps, whatever sends it: create only, if we do not know it; take it up again, if it is there and
carries our marks; refuse, if it is somebody else's. Once known, each write names its uid, so that it cannot touch,
or create anew, another object of the same name.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, final

from lostromos_core import errors, interfaces
from lostromos_core.kube import client, marks, paths
from lostromos_kubectl import desired as desired_
from lostromos_kubectl import inventory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Conflicts = Literal["fail", "force"]
CREATE_ONLY: Final = "1"
"""As ``metadata.resourceVersion`` of an apply: created if absent, 409 if present, even with force."""
GONE: Final = 404
CONFLICT: Final = 409
ROUNDS: Final = 3
"""How often an object is tried in one reconcile when it appears or disappears between two requests."""

ADOPT: Final = "lostromos.dev/adopt"
"""Annotation in a template: take over an object of this name that exists and is not ours."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Write:
    """One object to send, with the uid it must have; without one, it is only created.

    ``force`` takes fields over that other managers own.
    """

    desired: desired_.Desired
    uid: str = ""
    force: bool = False

    @property
    def body(self) -> dict[str, Any]:
        """What is sent."""
        return self.desired.under(uid=self.uid) if self.uid else self.desired.under(resourceVersion=CREATE_ONLY)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Sent:
    """The object is there as desired; its uid and version, as far as they are known."""

    uid: str
    version: str = ""


Answer: TypeAlias = Sent | errors.LostromosError


def query(controller: str, *, force: bool) -> dict[str, str]:
    """The query of a server-side apply for a controller."""
    return {"fieldManager": f"lostromos/{controller}", "force": "true" if force else "false"}


class Sender(Protocol):
    """How objects get to the cluster."""

    async def send(self, writes: Sequence[Write]) -> Sequence[Answer]:
        """Apply all; one answer for each, in order: the errors are returned, not raised."""


@final
@dataclasses.dataclass(slots=True)
class _Known:
    """What we know of an object: its uid, the version that we saw last, and the digest of what we made of it.

    ``adopted`` until the first write: it was somebody else's, and the template says to take it over.
    """

    uid: str
    version: str = ""
    digest: str = ""
    adopted: bool = False


_ObjectKey: TypeAlias = tuple[str, str, str, str]


@final
class ApplySets:
    """The sets of all owners of one controller."""

    def __init__(
        self, kube: client.Kube, sender: Sender, inventory_: inventory.ParentInventory, *, conflicts: Conflicts
    ) -> None:
        self._force = conflicts == "force"
        self._kube = kube
        self._sender = sender
        self._inventory = inventory_
        self._known: dict[str, tuple[str, dict[_ObjectKey, _Known]]] = {}

    async def apply(self, owner: interfaces.Resource, rendered: interfaces.Manifests) -> interfaces.Applied:
        """Make the cluster have every object of a rendering."""
        objects, results = await self._prepare(owner, rendered)
        await self._inventory.claim(owner, objects)
        known = await self._recall(owner)
        for rank in sorted({item.rank for item in objects}):
            results.update(await self._apply_all([item for item in objects if item.rank == rank], known, owner))
        return interfaces.Applied(tuple(results.values()))

    async def delete(self, key: str, owner: interfaces.Resource | None) -> interfaces.Applied:
        """Delete what belongs to an owner that is going, last applied first, and then let it go."""
        self._known.pop(key, None)
        if owner is None:
            self._inventory.forget(key)
            return interfaces.Applied()
        if not self._holds(owner):
            return interfaces.Applied()
        children = await self._inventory.find(owner)
        children.sort(key=lambda child: desired_.RANKS.get(child.ref.kind, desired_.LAST_RANK), reverse=True)
        results = [result for child in children if (result := await self._delete(child)) is not None]
        remaining = sum(result.action is not interfaces.Action.FAILED for result in results)
        if not results:
            await self._inventory.release(owner)
        return interfaces.Applied(tuple(results), remaining)

    def _holds(self, owner: interfaces.Resource) -> bool:
        """Whether there is anything for us to do before an owner goes; garbage collection does the rest."""
        if "deletionTimestamp" not in owner.metadata:
            return True
        return marks.FINALIZER in (owner.metadata.get("finalizers") or ())

    async def _prepare(
        self, owner: interfaces.Resource, rendered: interfaces.Manifests
    ) -> tuple[list[desired_.Desired], dict[_ObjectKey, interfaces.ObjectResult]]:
        """The objects to apply, and a place for the result of each; those that cannot be applied have failed."""
        objects: list[desired_.Desired] = []
        results: dict[_ObjectKey, interfaces.ObjectResult] = {}
        for manifest in rendered.objects:
            ref = manifest.ref
            try:
                kind = await self._kube.discovery.kind(ref.api_version, ref.kind)
                item = desired_.prepare(manifest, owner, kind)
            except errors.LostromosError as error:
                place = str(manifest.locate() or "")
                results[_key(ref)] = interfaces.ObjectResult(
                    ref, interfaces.Action.FAILED, str(error), place, error.retryable
                )
            else:
                if _key(item.ref) in results:
                    msg = f"{item.ref} is made twice: with its namespace written out, and without"
                    raise errors.RenderError(msg, place=str(manifest.locate() or ""))
                objects.append(item)
                results[_key(item.ref)] = interfaces.ObjectResult(item.ref, interfaces.Action.UNCHANGED)
        return objects, results

    async def _recall(self, owner: interfaces.Resource) -> dict[_ObjectKey, _Known]:
        """What we know of an owner's objects; read from the cluster if a process before us applied them."""
        uid, known = self._known.get(owner.key, ("", None))
        if known is not None and uid == owner.uid:
            return known
        claimed = marks.claimant(owner.metadata)
        children = await self._inventory.find(owner) if claimed else []
        known = {_key(child.ref): _Known(child.uid, child.version) for child in children if not child.deleting}
        self._known[owner.key] = (owner.uid, known)
        return known

    async def _apply_all(
        self, objects: Iterable[desired_.Desired], known: dict[_ObjectKey, _Known], owner: interfaces.Resource
    ) -> dict[_ObjectKey, interfaces.ObjectResult]:
        """Apply objects that do not need each other; several rounds, if they turn out to exist or to be gone."""
        results: dict[_ObjectKey, interfaces.ObjectResult] = {}
        pending = [item for item in objects if known.get(_key(item.ref), _Known("")).digest != item.digest]
        for _ in range(ROUNDS):
            if not pending:
                break
            writes = [self._write(item, known.get(_key(item.ref))) for item in pending]
            again: list[desired_.Desired] = []
            for write, answer in zip(writes, await self._sender.send(writes), strict=True):
                result = await self._judge(write, answer, known, owner)
                results[_key(write.desired.ref)] = result
                if result.action is interfaces.Action.WAITING:
                    again.append(write.desired)
            pending = again
        for item in pending:
            error = errors.ApiError(f"{item.ref} changes hands too quickly", status=CONFLICT, retryable=True)
            results[_key(item.ref)] = desired_.explain(item, error)
        return results

    def _write(self, item: desired_.Desired, known: _Known | None) -> Write:
        return Write(item, known.uid, self._force or known.adopted) if known else Write(item, force=self._force)

    async def _judge(
        self, write: Write, answer: Answer, known: dict[_ObjectKey, _Known], owner: interfaces.Resource
    ) -> interfaces.ObjectResult:
        """What an answer means; WAITING means: try again at once, knowing more."""
        key, ref = _key(write.desired.ref), write.desired.ref
        if isinstance(answer, Sent):
            before = known.get(key)
            known[key] = _Known(answer.uid, answer.version, write.desired.digest)
            if before is None:
                return interfaces.ObjectResult(ref, interfaces.Action.CREATED)
            moved = not answer.version or before.version != answer.version
            return interfaces.ObjectResult(ref, interfaces.Action.UPDATED if moved else interfaces.Action.UNCHANGED)
        if isinstance(answer, errors.ApiError) and _is_identity_conflict(write, answer):
            known.pop(key, None)
            try:
                found = None if write.uid else await self._take_up(write.desired, owner)
            except errors.LostromosError as error:
                return desired_.explain(write.desired, error)
            if found:
                known[key] = found
            return interfaces.ObjectResult(ref, interfaces.Action.WAITING)
        if isinstance(answer, errors.ApiError) and answer.reason == "NotFound":
            self._kube.discovery.forget(ref.api_version, ref.kind)
        return desired_.explain(write.desired, answer)

    async def _take_up(self, item: desired_.Desired, owner: interfaces.Resource) -> _Known | None:
        """An object that exists already, if it is ours; None if it is gone again."""
        try:
            live = await self._kube.request("GET", item.path, action=f"read {item.ref}", accept=client.METADATA_ONLY)
        except errors.ApiError as error:
            if error.status == GONE:
                return None
            raise
        metadata: Mapping[str, Any] = live["metadata"]
        adopts = (item.body["metadata"]["annotations"]).get(ADOPT) == "true"
        if "deletionTimestamp" in metadata:
            msg = f"{item.ref} is being deleted; it will be created again when it is gone"
            raise errors.ApiError(msg, status=CONFLICT, retryable=True)
        if inventory.belongs_to(metadata, owner.ref) or adopts:
            return _Known(metadata["uid"], metadata["resourceVersion"], adopted=adopts)
        msg = (
            f"{item.ref} exists and does not belong to {owner.ref}; rename one of them, delete the existing object, or "
            f'let the template take it over with the annotation {ADOPT}: "true"'
        )
        raise errors.RefusedError(msg)

    async def _delete(self, child: inventory.Child) -> interfaces.ObjectResult | None:
        """Delete one object, and only this one; None when it is gone."""
        path = paths.item(child.ref.api_version, child.plural, child.ref.namespace, child.ref.name)
        body = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "preconditions": {"uid": child.uid},
            "propagationPolicy": "Background",
        }
        try:
            answer = await self._kube.request("DELETE", path, action=f"delete {child.ref}", body=body)
        except errors.ApiError as error:
            if error.status in {GONE, CONFLICT}:
                return None
            return interfaces.ObjectResult(child.ref, interfaces.Action.FAILED, str(error), retryable=error.retryable)
        if "deletionTimestamp" not in (answer.get("metadata") or {}) or self._kube.dry_run:
            return None
        return interfaces.ObjectResult(child.ref, interfaces.Action.WAITING, "its own finalizers hold it")


def _is_identity_conflict(write: Write, error: errors.ApiError) -> bool:
    """Whether the object is not the one that we meant: 409 for its uid or version, and not for a field.

    An object that was to be created and exists answers 409 as well, and names fields first if other managers own them.
    """
    return error.status == CONFLICT and (not write.uid or not error.causes)


def _key(ref: interfaces.ObjectRef) -> _ObjectKey:
    return ref.group, ref.kind, ref.namespace, ref.name
