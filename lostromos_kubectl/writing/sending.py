"""What is sent, and what comes back: the interface between the shared work and the two ways of sending."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, final

from lostromos_core import errors
from lostromos_core.kube import labels
from lostromos_core.kube.managed_fields import fields, last_applied
from lostromos_core.kube.transport import media_types
from lostromos_kubectl.objects import references

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lostromos_core.kube import cluster
    from lostromos_kubectl.objects import desired_objects

CREATE_ONLY: Final = "1"
"""As ``metadata.resourceVersion`` of an apply: created if absent, 409 if present, even with force."""

YIELDED: Final = "/yielded"
"""Ends the digest of an object of which some fields were left to others."""

_CONDITIONS: Final = frozenset({"uid", "resourceVersion"})
"""What a write asks of the object that it meets, and does not set."""

Path: TypeAlias = "Sequence[str | int]"


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Write:
    """One object to send, with the uid it must have; without one, it is only created.

    ``force`` takes fields over that other managers own; ``without`` are fields that are left to them, ``yielded``
    those that were never ours. ``blocks``: the owner is held back by it in a foreground deletion.
    """

    desired: desired_objects.Desired
    uid: str = ""
    force: bool = False
    without: tuple[Path, ...] = ()
    yielded: tuple[Path, ...] = ()
    blocks: bool = True

    @property
    def digest(self) -> str:
        """What the object says of itself: when fields were yielded, that not all of it was ours."""
        return f"{self.desired.digest}{YIELDED}" if self.yielded else self.desired.digest

    @property
    def body(self) -> dict[str, Any]:
        """What is sent."""
        body = self.desired.under(uid=self.uid) if self.uid else self.desired.under(resourceVersion=CREATE_ONLY)
        if not self.blocks and "ownerReferences" in body["metadata"]:
            body["metadata"] = references.without_blocking(body["metadata"])
        found: dict[str, Any] = fields.without(body, (*self.without, *self.yielded))
        metadata = found["metadata"]
        annotations = {**metadata["annotations"], labels.HASH: self.digest}
        lasting = {name: value for name, value in metadata.items() if name not in _CONDITIONS}
        applied = last_applied.of({**found, "metadata": lasting})  # else the next write would not be the same
        if applied:
            annotations[labels.FIELDS] = applied
        return {**found, "metadata": {**metadata, "annotations": annotations}}


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Sent:
    """The object is there as desired; its metadata as the server answered it.

    ``whole`` is all of the object: in a dry run, since nothing else says whether the write would change it.
    """

    metadata: Mapping[str, Any]
    whole: Mapping[str, Any] | None = None


def accepted(kube: cluster.Cluster) -> str:
    """Return the media type to ask writes to be answered with: metadata is enough, but for a dry run."""
    return media_types.JSON if kube.dry_run else media_types.METADATA_ONLY


def sent(answer: Mapping[str, Any]) -> Sent:
    """Return what an answer means; a whole object has more than its metadata."""
    whole = None if answer.get("kind") == "PartialObjectMetadata" else answer
    return Sent(answer["metadata"], whole)


Answer: TypeAlias = Sent | errors.LostromosError


def query(manager: str, *, force: bool) -> dict[str, str]:
    """The query of a server-side apply."""
    return {"fieldManager": manager, "force": "true" if force else "false"}


class Sender(Protocol):
    """How objects get to the cluster."""

    async def send(self, writes: Sequence[Write]) -> Sequence[Answer]:
        """Apply all; one answer for each, in order: the errors are returned, not raised."""
