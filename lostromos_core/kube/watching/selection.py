"""Define which resources a watcher selects."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Selection:
    """Hold the namespaces (empty: all), a label selector, and an annotation (``key`` or ``key=value``).

    The API server applies the namespaces and the labels; ``selects`` applies the annotation.
    """

    namespaces: Sequence[str] = ()
    labels: str = ""
    annotation: str = ""

    def selects(self, metadata: Mapping[str, Any]) -> bool:
        """Return whether the annotation of a resource matches; the value "false" does not, unless requested."""
        if not self.annotation:
            return True
        key, equals, wanted = self.annotation.partition("=")
        value = (metadata.get("annotations") or {}).get(key)
        return value == wanted if equals else value is not None and value != "false"

    def overlaps(self, other: Selection) -> bool:
        """Return whether both could select the same resource."""
        if self.namespaces and other.namespaces and not set(self.namespaces) & set(other.namespaces):
            return False
        pairs = ((self.labels, other.labels), (self.annotation, other.annotation))
        return not any(_differ(_equalities(one), _equalities(two)) for one, two in pairs)


def _equalities(selector: str) -> dict[str, str]:
    """Return the ``key=value`` parts of a selector."""
    pairs = (part.replace("==", "=").partition("=") for part in selector.split(",") if "!" not in part)
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def _differ(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return any(other.get(key, value) != value for key, value in one.items())
