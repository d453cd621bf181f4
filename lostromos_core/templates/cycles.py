"""Detect units that wait for each other, by guessing what they would make if they did not have to wait."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, TypeAlias, final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lostromos_core import interfaces

Identity: TypeAlias = tuple[str, str, str, str]


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Blocked:
    """Describe a unit that waits for an object, and the objects that it would make."""

    name: str
    needs: interfaces.ObjectRef
    would_make: Collection[Identity]


def identity(ref: interfaces.ObjectRef, namespace: str) -> Identity:
    """Return the identity of an object, regardless of its API version; ``namespace`` applies if ``ref`` has none."""
    return ref.group, ref.kind, ref.namespace or namespace, ref.name


def find(blocked: Sequence[Blocked], namespace: str) -> Mapping[str, str]:
    """Return the units that wait for themselves, directly or through others, each with a description of the cycle."""
    makers = {made: unit for unit in blocked for made in unit.would_make}
    found: dict[str, str] = {}
    for start in blocked:
        circle = [start]
        following = makers.get(identity(start.needs, namespace))
        while following is not None and following not in circle:
            circle.append(following)
            following = makers.get(identity(following.needs, namespace))
        if following is start:
            found[start.name] = _say(circle)
    return found


def _say(circle: Sequence[Blocked]) -> str:
    if len(circle) == 1:
        return f"it needs {circle[0].needs}, which it makes itself: move that into a file of its own"
    ways = [
        f"{unit.name} needs {unit.needs} of {maker.name}"
        for unit, maker in zip(circle, (*circle[1:], circle[0]), strict=True)
    ]
    return f"a circle, so nothing can begin: {', '.join(ways)}"
