"""What an Applier did, and what is reported of it."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lostromos_core.interfaces.resources import Json, ObjectRef


class Action(enum.Enum):
    """What was done with one object; ``drifted``: somebody changed it, and it is left so."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    WAITING = "waiting"
    FAILED = "failed"
    DELETED = "deleted"
    PRUNED = "pruned"
    DRIFTED = "drifted"


@final
@dataclasses.dataclass(frozen=True, slots=True)
class ObjectResult:
    """How one object fared. ``place`` (file:line) and ``retryable`` matter for failures only.

    ``after``: how many seconds later it is worth another try, if that is known.
    """

    ref: ObjectRef
    action: Action
    message: str = ""
    place: str = ""
    retryable: bool = False
    after: float | None = None


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Applied:
    """How an apply or a delete fared, object by object; ``remaining`` counts what a delete still waits for.

    ``status`` are fields that the applier wants on the resource's status; None leaves them as they are.
    """

    objects: tuple[ObjectResult, ...] = ()
    remaining: int = 0
    status: Mapping[str, Json] | None = dataclasses.field(default_factory=dict)

    @property
    def failed(self) -> tuple[ObjectResult, ...]:
        """The objects that could not be made as rendered."""
        return tuple(result for result in self.objects if result.action is Action.FAILED)

    @property
    def waiting(self) -> tuple[ObjectResult, ...]:
        """The objects that have to wait for something."""
        return tuple(result for result in self.objects if result.action is Action.WAITING)

    @property
    def after(self) -> float | None:
        """When to come again, in seconds, if an object says so."""
        return min((result.after for result in self.objects if result.after is not None), default=None)


PROGRESS = frozenset({"Waiting", "Deleting"})
"""Reasons not to be ready that are no failures."""


RELEASED = "Released"
"""Reason of the last report on a resource that left the selection: nobody looks after it any more."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What the author of a resource should know. ``reason`` is one CamelCase word, ``message`` a sentence.

    Not ready and retrying is "reconciling": it is likely to become ready by itself. Not ready and not retrying is
    "stalled": something has to be changed; it is tried again all the same, in longer and longer intervals.
    ``paused``: nobody looks after it now, so whether it is ready is not known. ``status``: the template author's own
    fields; None leaves them as they are.
    """

    ready: bool
    reason: str
    message: str
    retrying: bool = False
    objects: tuple[ObjectResult, ...] = ()
    paused: bool = False
    status: Mapping[str, Json] | None = None

    @property
    def is_progress(self) -> bool:
        """Whether nothing has failed, though it is not ready."""
        return not self.ready and (self.paused or self.reason in PROGRESS)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What the queue does with a key after a reconcile: forget it, or come again.

    ``after`` is in seconds; None with ``retry`` set means: after the key's own back-off, which has a ceiling of 5
    minutes, or of an hour when it is ``slow``; ``at_most`` is the longest that the back-off may be, in seconds.
    """

    retry: bool = False
    after: float | None = None
    slow: bool = False
    at_most: float = float("inf")

    @classmethod
    def done(cls) -> Outcome:
        """Nothing to do until something changes."""
        return cls()

    @classmethod
    def again(cls, after: float | None = None, *, slow: bool = False) -> Outcome:
        """Come again in ``after`` seconds, or after the back-off if the time is not known."""
        return cls(retry=True, after=after, slow=slow)
