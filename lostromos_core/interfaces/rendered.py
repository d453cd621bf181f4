"""Define what a Renderer makes of a resource."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol, TypeAlias, final

from lostromos_core.interfaces.resources import ObjectRef

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lostromos_core.interfaces.resources import Json, Path

CONTROL_PREFIXES = ("applyset.kubernetes.io/", "lostromos.dev/")
"""Prefixes of the labels and annotations that control the operator, and of those that it writes itself."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Locate the origin of a value in a template: the file, the line (from 1) and the expression."""

    file: str
    line: int
    expression: str = ""

    def __str__(self) -> str:
        """Return ``templates/service.yaml:12``, as editors accept it; without the line if it is not known."""
        return f"{self.file}:{self.line}" if self.line else self.file


class Source(Protocol):
    """Find the place in a template that a field comes from."""

    def locate(self, path: Path) -> Place | None:
        """Return the place of the deepest known node on ``path``."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """Hold one object that should exist: plain data with apiVersion, kind and metadata.name, and its origin."""

    data: Mapping[str, Json]
    source: Source | None = dataclasses.field(default=None, repr=False, compare=False)

    @property
    def ref(self) -> ObjectRef:
        """Return its identity as written: the namespace is empty if the template names none."""
        metadata = self.data["metadata"]
        return ObjectRef(self.data["apiVersion"], self.data["kind"], metadata.get("namespace") or "", metadata["name"])

    def locate(self, path: Path = ()) -> Place | None:
        """Return where the field at ``path`` comes from, as precisely as it is known."""
        return self.source.locate(path) if self.source else None


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Unit:
    """Hold the manifests of one template file, or the reason why they have to wait.

    A waiting unit has no manifests; what it applied earlier is not changed until it no longer waits. A ``stuck`` unit
    waits for itself, so it can never stop waiting.
    """

    name: str
    manifests: tuple[Manifest, ...] = ()
    waiting: str = ""
    stuck: bool = False


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Manifests:
    """Hold rendered Kubernetes objects, one unit per template file.

    ``reads`` are the objects that were looked up. ``status`` holds fields for the resource's own status; None if they
    are not known now: the fields are then not changed.
    """

    units: tuple[Unit, ...]
    reads: frozenset[ObjectRef] = frozenset()
    status: Mapping[str, Json] | None = dataclasses.field(default_factory=dict)

    @property
    def objects(self) -> tuple[Manifest, ...]:
        """Return all manifests of all units, in order."""
        return tuple(manifest for unit in self.units for manifest in unit.manifests)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Values:
    """Hold one rendered tree of values, as a Helm chart takes it; ``waiting`` says why it cannot be used yet.

    ``source`` finds where each value comes from. ``hidden`` are texts that the resource's author must not see: the
    operator's variables, and Secrets that were looked up. ``reads`` and ``status`` are as in Manifests.
    """

    values: Mapping[str, Json]
    reads: frozenset[ObjectRef] = frozenset()
    waiting: str = ""
    status: Mapping[str, Json] | None = dataclasses.field(default_factory=dict)
    source: Source | None = dataclasses.field(default=None, repr=False, compare=False)
    hidden: frozenset[str] = dataclasses.field(default=frozenset(), repr=False, compare=False)

    def locate(self, path: Path) -> Place | None:
        """Return where the value at ``path`` comes from, if known; without a file, ``expression`` is a field."""
        return self.source.locate(path) if self.source else None


Rendered: TypeAlias = Manifests | Values
