"""Send objects until each has a definite answer: created, updated, failed, or waiting.

Each object goes through the same steps, however it is sent: create only, if it is unknown; pick it up, if it exists and
has our ownership labels; refuse, if it belongs to another owner. Once known, each write names its uid, so that it
cannot change, or recreate, another object of the same name. Writes are not forced at first: what another manager has
taken from us is taken back; for the rest, the conflict policy decides.
"""

from __future__ import annotations

import asyncio
import dataclasses
import http
import time
from typing import TYPE_CHECKING, Any, Final, final

import structlog

from lostromos_core import errors, interfaces
from lostromos_core.kube import labels
from lostromos_core.kube.managed_fields import contention, fields, last_applied
from lostromos_core.kube.tracking import tracked_objects
from lostromos_core.kube.transport import operations
from lostromos_kubectl.objects import desired_objects, memory, references
from lostromos_kubectl.writing import ownership, recreation, rules, sending, takeover, taking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lostromos_core.kube import cluster

ROUNDS: Final = 4
"""Maximum attempts for an object in one reconcile, as long as each answer reveals something new."""
_MOVING: Final = frozenset({"resourceVersion", "generation", "managedFields"})
_log = structlog.get_logger("lostromos.applier")


@final
class Writer:
    """Write the objects of one controller."""

    def __init__(
        self,
        kube: cluster.Cluster,
        manager: str,
        sender: sending.Sender,
        known: memory.Memory,
        policy: rules.Policy,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kube = kube
        self._manager = manager
        self._sender = sender
        self._known = known
        self.rules = rules.Rules(manager, policy)
        self._ownership = ownership.Ownership(kube, manager)
        self._takers = taking.TakeUp(kube, manager, self._ownership)
        self._takeover = takeover.TakeOver(kube, manager, self._ownership)
        self._clock = clock
        self._recreation = recreation.Recreation(kube, manager)
        self._blocks = True

    async def write(
        self, items: Iterable[desired_objects.Desired], owned: memory.Owned, owner: interfaces.Resource
    ) -> dict[tracked_objects.Key, interfaces.ObjectResult]:
        """Write objects that do not need each other; in several rounds, if they turn out to exist or to be gone."""
        results: dict[tracked_objects.Key, interfaces.ObjectResult] = {}
        tries = []
        for item in items:
            entry = owned.entries.setdefault(item.key, memory.Entry())
            waits = self._why_not_now(item, entry)
            if waits is None:
                tries.append(rules.Attempt(item, entry))
            else:
                results[item.key] = waits
        for _ in range(ROUNDS):
            if not tries:
                break
            tries = await self._round(tries, results, owner)
        for one in tries:
            error = errors.ApiError(
                f"{one.item.ref} keeps being replaced; retrying", status=http.HTTPStatus.CONFLICT, retryable=True
            )
            results[one.item.key] = desired_objects.explain(one.item, error)
        for key in [key for key, entry in owned.entries.items() if not entry.uid]:
            del owned.entries[key]
        return results

    async def _round(
        self,
        tries: list[rules.Attempt],
        results: dict[tracked_objects.Key, interfaces.ObjectResult],
        owner: interfaces.Resource,
    ) -> list[rules.Attempt]:
        """Send all, and evaluate the answers; return those to send again."""
        for one in tries:
            one.entry.sending = True
        again: list[rules.Attempt] = []
        try:
            found = await asyncio.gather(*(self._before(one) for one in tries))
            results.update({one.item.key: result for one, result in zip(tries, found, strict=True) if result})
            sent = [one for one, result in zip(tries, found, strict=True) if result is None]
            writes = [self.rules.next_write(one, blocks=self._blocks) for one in sent]
            answers = await self._sender.send(writes)
            for one, write, answer in zip(sent, writes, answers, strict=True):
                result = await self._judge(one, write, answer, owner)
                if result is None:
                    again.append(one)
                else:
                    results[one.item.key] = result
        finally:
            for one in tries:
                self._known.answered(owner.key, one.entry)
        return again

    async def _before(self, one: rules.Attempt) -> interfaces.ObjectResult | None:
        """Prepare the write of an object; return a result if it must not be written then."""
        item, ignored = one.item, self.rules.ignored(one.item, one.entry.child)
        if ignored:
            item = dataclasses.replace(item, body=fields.without(item.body, ignored))
        return await self._takeover.before(item, one.entry, yields=self.rules.conflicts(item) == "yield")

    def _why_not_now(self, item: desired_objects.Desired, entry: memory.Entry) -> interfaces.ObjectResult | None:
        """Return why an object is not written now: it is being deleted, or another manager keeps changing it."""
        if entry.child is not None and entry.child.deleting:
            message = "it is being deleted, and will be created again when it is gone"
            return interfaces.ObjectResult(item.ref, interfaces.Action.WAITING, message)
        if not entry.touched:
            return None
        entry.contended = entry.contended or contention.Contention()
        pause = entry.contended.pause(self._clock())
        if pause > 0:
            way_out = f"`ignore` the field, set {labels.CONFLICTS}: yield, or leave it out of the template"
            message = f"{item.ref}: {entry.contended.explain(pause)}. {way_out}"
            return interfaces.ObjectResult(item.ref, interfaces.Action.FAILED, message, retryable=True, after=pause)
        return None

    async def _judge(
        self, one: rules.Attempt, write: sending.Write, answer: sending.Answer, owner: interfaces.Resource
    ) -> interfaces.ObjectResult | None:
        """Evaluate an answer; return None to try again at once, knowing more."""
        if isinstance(answer, sending.Sent):
            return await self._arrived(one, write, answer, owner)
        if isinstance(answer, errors.ApiError) and answer.status == http.HTTPStatus.CONFLICT:
            if write.uid and answer.causes:
                return await self._contested(one, answer)
            return await self._another_object(one, write, owner)
        return await self._refused(one, write, answer)

    async def _refused(
        self, one: rules.Attempt, write: sending.Write, answer: errors.LostromosError
    ) -> interfaces.ObjectResult | None:
        """Handle a refusal; return None to try again at once."""
        if write.blocks and references.are_refused(answer, write.desired.ref):
            self._blocks = False
            return None
        if isinstance(answer, errors.ApiError) and await self._recreation.would_help(write, answer):
            return await self._contradicted(one, answer)
        if isinstance(answer, errors.ApiError) and operations.lacks_kind(answer):
            self._kube.discovery.forget(one.item.ref.api_version, one.item.ref.kind)
        return desired_objects.explain(one.item, answer)

    async def _contradicted(self, one: rules.Attempt, answer: errors.ApiError) -> interfaces.ObjectResult | None:
        """Handle an object that is accepted only as new: the live object contradicts it, or is immutable."""
        try:
            if one.taken is None:
                one.taken = await self._takeover.after_refusal(one.item, one.entry, answer)
                if one.taken and self._kube.dry_run:
                    message = "it would be changed: defaults that contradict the template would be removed"
                    return interfaces.ObjectResult(one.item.ref, interfaces.Action.UPDATED, message)
                if one.taken:
                    return None
            elif one.taken:
                await self._takeover.give_back(one.item, one.entry, one.taken)
                one.taken = []
        except errors.LostromosError as error:
            return desired_objects.explain(one.item, error)
        return await self._immutable(one, answer)

    async def _arrived(
        self, one: rules.Attempt, write: sending.Write, answer: sending.Sent, owner: interfaces.Resource
    ) -> interfaces.ObjectResult:
        """Remember the state of an object that was written."""
        entry, item = one.entry, one.item
        found = tracked_objects.read(item.kind, answer.metadata)
        before, repaired = entry.child, entry.touched
        if repaired and entry.contended and not self._kube.dry_run:
            entry.contended.opponent = entry.contended.opponent or (before.writer if before else "")
            entry.contended.repaired(self._clock())
            why = "another field manager changed it" if write.uid else "it was deleted"
            _log.info("an object was repaired", resource=owner.key, object=str(item.ref), why=why)
        entry.child = found[0] if found else None
        entry.uid, entry.digest = str(answer.metadata.get("uid", "")), item.digest
        entry.held_fields = entry.child.field_set(self._manager) if entry.child else None
        entry.others = self._ownership.items_of_others(answer.metadata)
        entry.touched = entry.adopted = entry.due = False
        if not write.uid:
            return interfaces.ObjectResult(item.ref, interfaces.Action.CREATED)
        if answer.whole is not None and self._kube.dry_run:
            try:
                moved = await self._would_change(item, answer.whole)
            except errors.ApiError as error:
                return desired_objects.explain(item, error)
        else:
            moved = before is None or entry.child is None or before.version != entry.child.version
        action = interfaces.Action.UPDATED if moved else interfaces.Action.UNCHANGED
        return interfaces.ObjectResult(item.ref, action)

    async def _would_change(self, item: desired_objects.Desired, answered: Mapping[str, Any]) -> bool:
        """Return whether a dry run would have changed the live object: its answer has the live resourceVersion."""
        live = await self._kube.request("GET", item.path, action=f"read {item.ref}")
        return _contents(live, self._manager) != _contents(answered, self._manager)

    async def _contested(self, one: rules.Attempt, answer: errors.ApiError) -> interfaces.ObjectResult | None:
        """Handle fields of ours that other managers own: repair drift; for the rest, the policy decides."""
        entry, item = one.entry, one.item
        if entry.contended and answer.causes:
            entry.contended.opponent = answer.causes[0].who or entry.contended.opponent
        if self.rules.conflicts(item) == "yield":
            one.yielded = (*one.yielded, *(fields.parse(cause.field, item.body) for cause in answer.causes))
            return None
        try:
            if not one.force and await self._were_ours(item, entry, answer):
                one.force = True
                return None
        except errors.LostromosError as error:
            return desired_objects.explain(item, error)
        return desired_objects.explain(item, answer)

    async def _were_ours(self, item: desired_objects.Desired, entry: memory.Entry, answer: errors.ApiError) -> bool:
        """Return whether all contested fields were ours after our last write: then their loss is drift.

        After a restart, with another template, only the object itself records that. Raises ApiError.
        """
        held = entry.held_fields.fields if entry.held_fields else None
        open_: list[list[str | int]] = []
        for cause in answer.causes:
            path = fields.parse(cause.field, item.body)
            in_held = held is not None and fields.owns(held, item.body, path, item.list_keys)
            if not in_held and not self._ownership.has_left(cause.who):
                open_.append(path)
        if not open_ or (entry.child is not None and entry.child.digest == item.digest):
            return True
        metadata = await operations.read(self._kube, item.path, str(item.ref))
        applied = ((metadata or {}).get("annotations") or {}).get(labels.FIELDS, "")
        return all(last_applied.holds(applied, item.body, path) for path in open_)

    async def _another_object(
        self, one: rules.Attempt, write: sending.Write, owner: interfaces.Resource
    ) -> interfaces.ObjectResult | None:
        """Handle an object that is not the expected one: it is gone, or it existed already."""
        one.entry.uid, one.entry.child = "", None
        if write.uid:
            return None
        try:
            await self._takers.take_up(one.item, one.entry, owner)
        except errors.LostromosError as error:
            return desired_objects.explain(one.item, error)
        if one.item.directives.create_only and one.entry.uid and not one.entry.adopted:
            one.entry.digest, one.entry.touched = one.item.digest, False
            return interfaces.ObjectResult(one.item.ref, interfaces.Action.UNCHANGED)
        return None

    async def _immutable(self, one: rules.Attempt, answer: errors.LostromosError) -> interfaces.ObjectResult:
        """Handle a change of an immutable field: delete the object and create it again, if the template allows it."""
        item, entry = one.item, one.entry
        if not item.directives.recreate:
            result = desired_objects.explain(item, answer)
            way_out = f'delete the object, or let the template do that with the annotation {labels.RECREATE}: "true"'
            return dataclasses.replace(result, message=f"{result.message}; it cannot be changed: {way_out}")
        try:
            await operations.delete(self._kube, item.path, entry.uid, action=f"recreate {item.ref}")
        except errors.ApiError as error:
            return desired_objects.explain(item, error)
        if self._kube.dry_run:
            message = "it would be deleted and recreated: an immutable field has changed"
            return interfaces.ObjectResult(item.ref, interfaces.Action.UPDATED, message)
        entry.uid, entry.child, entry.digest = "", None, ""
        message = "it is being deleted and recreated: an immutable field has changed"
        return interfaces.ObjectResult(item.ref, interfaces.Action.WAITING, message, after=0.2)


def _contents(item: Mapping[str, Any], manager: str) -> Mapping[str, Any]:
    """Return the part of an object that our writes can change, and what our manager owns of it."""
    metadata = {key: value for key, value in item["metadata"].items() if key not in _MOVING}
    managed = [
        {key: value for key, value in entry.items() if key != "time"}
        for entry in item["metadata"].get("managedFields") or ()
        if entry.get("manager") == manager
    ]
    return {**item, "status": None, "metadata": metadata | {"managedFields": managed}}
