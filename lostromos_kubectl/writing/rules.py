"""Define the rules of a write: what to leave alone, what to force, and whether there is anything to write.

Decisions depend only on the desired object, what is remembered of it, and the options. ``is_settled`` also remembers
that an object turned out to be up to date.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, final

from lostromos_core.kube.managed_fields import fields
from lostromos_core.kube.tracking import tracked_objects
from lostromos_kubectl.writing import sending

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lostromos_kubectl.objects import desired_objects, memory
    from lostromos_kubectl.writing import places


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """Hold the options of the applier that apply to all objects. ``ignore`` are JSON pointers by kind."""

    conflicts: desired_objects.Conflicts = "fail"
    ignore: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)


@final
@dataclasses.dataclass(slots=True)
class Attempt:
    """Hold the state of one object that is being written: what the answers so far have revealed."""

    item: desired_objects.Desired
    entry: memory.Entry
    force: bool = False
    yielded: tuple[sending.Path, ...] = ()
    taken: list[places.Path] | None = None


@final
class Rules:
    """Apply the rules to the objects of one controller, whose field manager is ``manager``."""

    def __init__(self, manager: str, policy: Policy) -> None:
        self._manager = manager
        self._policy = policy

    def is_settled(self, item: desired_objects.Desired, entry: memory.Entry | None) -> bool:
        """Return whether an object is up to date, judging by its metadata; then there is nothing to write."""
        if entry is None:
            return False
        if entry.digest == item.digest:
            return True
        child = entry.child
        if child is None or child.deleting or entry.adopted:
            return False
        digest = child.digest.removesuffix(sending.YIELDED) if self.conflicts(item) == "yield" else child.digest
        matches = not entry.due and digest == item.digest and self._owns_all(item, child)
        settled = item.directives.create_only or matches
        if settled:
            entry.digest, entry.touched = item.digest, False
            entry.held_fields, entry.due = child.field_set(self._manager), False
        return settled

    def next_write(self, one: Attempt, *, blocks: bool) -> sending.Write:
        """Return the next write of an object."""
        entry, item = one.entry, one.item
        if not entry.uid or (item.directives.create_only and not entry.adopted):
            return sending.Write(item, force=self.conflicts(item) == "force", blocks=blocks)
        force = one.force or entry.adopted or self.conflicts(item) == "force"
        left_out = [*self.ignored(item, entry.child), *(fields.nulls(item.body) if one.taken else ())]
        return sending.Write(item, entry.uid, force, tuple(left_out), one.yielded, blocks)

    def conflicts(self, item: desired_objects.Desired) -> desired_objects.Conflicts:
        """Return the policy for conflicts about an object: its own directive, or the option."""
        return item.directives.conflicts or self._policy.conflicts

    def ignored(self, item: desired_objects.Desired, child: tracked_objects.TrackedObject | None) -> list[sending.Path]:
        """Return the ignored fields that we no longer own: those we still own would be removed if we left them out."""
        owned = child.field_set(self._manager) if child else None
        if owned is None:
            return []
        found = (fields.point(pointer, item.body) for pointer in self._policy.ignore.get(item.ref.kind, ()))
        return [lost for path in found if path for lost in fields.lost(owned.fields, item.body, path, item.list_keys)]

    def _owns_all(self, item: desired_objects.Desired, child: tracked_objects.TrackedObject) -> bool:
        owned = child.field_set(self._manager)
        references = item.body["metadata"].get("ownerReferences") or ()
        if owned is None or child.owner_uid != tracked_objects.owner_uid(references):
            return False
        if self.conflicts(item) == "yield":
            return True
        return fields.owns_all(owned.fields, fields.without(item.body, self.ignored(item, child)), item.list_keys)
