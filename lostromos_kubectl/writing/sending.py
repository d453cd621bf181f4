"""Define what is sent, and what is answered: the interface between the shared work and the two ways of sending."""

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
"""Value of ``metadata.resourceVersion`` of an apply: created if absent, 409 if present, even with force."""

YIELDED: Final = "/yielded"
"""Suffix of the digest of an object of which some fields were left to other managers."""

_CONDITIONS: Final = frozenset({"uid", "resourceVersion"})
"""Fields that a write requires of the existing object, and does not set."""

Path: TypeAlias = "Sequence[str | int]"


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Write:
    """Describe one object to send, with the uid it must have; without one, it is only created.

    ``force`` takes over fields that other managers own; ``without`` are fields that are left to them, ``yielded`` those
    that were never ours. ``blocks``: the object blocks a foreground deletion of its owner.
    """

    desired: desired_objects.Desired
    uid: str = ""
    force: bool = False
    without: tuple[Path, ...] = ()
    yielded: tuple[Path, ...] = ()
    blocks: bool = True

    @property
    def digest(self) -> str:
        """Return the digest to store on the object; if fields were yielded, it records that not all of it was ours."""
        return f"{self.desired.digest}{YIELDED}" if self.yielded else self.desired.digest

    @property
    def body(self) -> dict[str, Any]:
        """Return the body to send."""
        body = self.desired.under(uid=self.uid) if self.uid else self.desired.under(resourceVersion=CREATE_ONLY)
        if not self.blocks and "ownerReferences" in body["metadata"]:
            body["metadata"] = references.without_blocking(body["metadata"])
        found: dict[str, Any] = fields.without(body, (*self.without, *self.yielded))
        metadata = found["metadata"]
        annotations = {**metadata["annotations"], labels.HASH: self.digest}
        lasting = {name: value for name, value in metadata.items() if name not in _CONDITIONS}
        applied = last_applied.of({**found, "metadata": lasting})  # otherwise the next write would differ
        if applied:
            annotations[labels.FIELDS] = applied
        return {**found, "metadata": {**metadata, "annotations": annotations}}


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Sent:
    """Hold the metadata that the server answered for an object that was applied as desired.

    ``whole`` is the complete object: in a dry run, since nothing else shows whether the write would change it.
    """

    metadata: Mapping[str, Any]
    whole: Mapping[str, Any] | None = None


def accepted(kube: cluster.Cluster) -> str:
    """Return the media type to request for answers to writes: only metadata, except in a dry run."""
    return media_types.JSON if kube.dry_run else media_types.METADATA_ONLY


def sent(answer: Mapping[str, Any]) -> Sent:
    """Convert an answer to ``Sent``; a whole object has more than its metadata."""
    whole = None if answer.get("kind") == "PartialObjectMetadata" else answer
    return Sent(answer["metadata"], whole)


Answer: TypeAlias = Sent | errors.LostromosError


class Sender(Protocol):
    """Send objects to the cluster."""

    async def send(self, writes: Sequence[Write]) -> Sequence[Answer]:
        """Apply all; return one answer for each, in order. Errors are returned, not raised."""
