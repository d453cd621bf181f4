"""Define the results of an Applier, and what is reported of them."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lostromos_core.interfaces.resources import Json, ObjectRef


class Action(enum.Enum):
    """Name what was done with one object; ``drifted``: another field manager changed it, and it is left so."""

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
    """Hold the result for one object; ``place`` (file:line) and ``retryable`` matter for failures only.

    ``after``: seconds after which a retry makes sense, if known.
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
    """Hold the result of an apply or a delete for each object; ``remaining`` counts what a delete still waits for.

    ``status`` holds fields that the applier adds to the resource's status; None leaves them unchanged.
    """

    objects: tuple[ObjectResult, ...] = ()
    remaining: int = 0
    status: Mapping[str, Json] | None = dataclasses.field(default_factory=dict)

    @property
    def failed(self) -> tuple[ObjectResult, ...]:
        """Return the objects that could not be made as rendered."""
        return tuple(result for result in self.objects if result.action is Action.FAILED)

    @property
    def waiting(self) -> tuple[ObjectResult, ...]:
        """Return the objects that have to wait for something."""
        return tuple(result for result in self.objects if result.action is Action.WAITING)

    @property
    def after(self) -> float | None:
        """Return the seconds after which to retry, the minimum of all objects; None if no object has one."""
        return min((result.after for result in self.objects if result.after is not None), default=None)


PROGRESS = frozenset({"Waiting", "Deleting"})
"""Reasons for not being ready that are not failures."""


RELEASED = "Released"
"""Reason of the last report on a resource that left the selection: no controller manages it any more."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """Describe the state of a resource to its author; ``reason`` is one CamelCase word, ``message`` a sentence.

    Not ready and retrying is "reconciling": it is likely to become ready by itself. Not ready and not retrying is
    "stalled": something has to be changed; it is still retried, at longer and longer intervals. ``paused``: it is not
    reconciled now, so whether it is ready is not known. ``status``: the template author's own fields; None leaves them
    unchanged.
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
        """Return whether nothing has failed, although the resource is not ready."""
        return not self.ready and (self.paused or self.reason in PROGRESS)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """Tell the queue what to do with a key after a reconcile: forget it, or retry it.

    ``after`` is in seconds; None with ``retry`` set means the key's own back-off, which has a ceiling of 5 minutes, or
    of an hour if ``slow``; ``at_most`` limits the back-off, in seconds.
    """

    retry: bool = False
    after: float | None = None
    slow: bool = False
    at_most: float = float("inf")

    @classmethod
    def done(cls) -> Outcome:
        """Return an Outcome without a retry: nothing to do until something changes."""
        return cls()

    @classmethod
    def again(cls, after: float | None = None, *, slow: bool = False) -> Outcome:
        """Return an Outcome that retries after ``after`` seconds, or after the back-off if that is None."""
        return cls(retry=True, after=after, slow=slow)
