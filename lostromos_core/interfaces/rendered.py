"""What a Renderer makes of a resource."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol, TypeAlias, final

from lostromos_core.interfaces.resources import ObjectRef

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lostromos_core.interfaces.resources import Json, Path

CONTROL_PREFIXES = ("applyset.kubernetes.io/", "lostromos.dev/")
"""Begin the labels and annotations that tell the operator what to do, and those that it writes itself."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where in a template something comes from: the file, its line (from 1) and the expression that fed it."""

    file: str
    line: int
    expression: str = ""

    def __str__(self) -> str:
        """``templates/service.yaml:12``, what editors open; without the line if it is not known."""
        return f"{self.file}:{self.line}" if self.line else self.file


class Source(Protocol):
    """Knows which place of which template fed a field."""

    def locate(self, path: Path) -> Place | None:
        """The place of the deepest node on ``path`` that is known."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """One object that should exist: plain data with apiVersion, kind and metadata.name, and where it came from."""

    data: Mapping[str, Json]
    source: Source | None = dataclasses.field(default=None, repr=False, compare=False)

    @property
    def ref(self) -> ObjectRef:
        """Its identity, as written: the namespace is empty if the template names none."""
        metadata = self.data["metadata"]
        return ObjectRef(self.data["apiVersion"], self.data["kind"], metadata.get("namespace") or "", metadata["name"])

    def locate(self, path: Path = ()) -> Place | None:
        """Where the field at ``path`` comes from, as well as it is known."""
        return self.source.locate(path) if self.source else None


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Unit:
    """What one template file made: its manifests, or the reason why they have to wait for something.

    A waiting unit has no manifests; what it applied earlier stays as it is until it no longer waits. A ``stuck`` one
    waits for what can never come, since it waits for itself.
    """

    name: str
    manifests: tuple[Manifest, ...] = ()
    waiting: str = ""
    stuck: bool = False


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Manifests:
    """Rendered as Kubernetes objects, one unit a template file.

    ``reads`` are the objects that were looked up. ``status`` are fields for the resource's own status; None if they
    cannot be told now, and stay as they are.
    """

    units: tuple[Unit, ...]
    reads: frozenset[ObjectRef] = frozenset()
    status: Mapping[str, Json] | None = dataclasses.field(default_factory=dict)

    @property
    def objects(self) -> tuple[Manifest, ...]:
        """All manifests of all units, in order."""
        return tuple(manifest for unit in self.units for manifest in unit.manifests)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Values:
    """Rendered as one tree of values, what a Helm chart takes; ``waiting`` says why it cannot be used yet.

    ``source`` knows where each value comes from. ``hidden`` are texts that the resource's author must not see: the
    operator's variables, and Secrets that were looked up. ``reads`` and ``status`` are as in Manifests.
    """

    values: Mapping[str, Json]
    reads: frozenset[ObjectRef] = frozenset()
    waiting: str = ""
    status: Mapping[str, Json] | None = dataclasses.field(default_factory=dict)
    source: Source | None = dataclasses.field(default=None, repr=False, compare=False)
    hidden: frozenset[str] = dataclasses.field(default=frozenset(), repr=False, compare=False)

    def locate(self, path: Path) -> Place | None:
        """Where the value at ``path`` comes from, as well as it is known; its file may be empty: then it is a field."""
        return self.source.locate(path) if self.source else None


Rendered: TypeAlias = Manifests | Values
