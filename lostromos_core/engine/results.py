"""Collect the results of one pass over all resources."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, TypeAlias, final

from lostromos_core import interfaces

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lostromos_core.engine import reconcile

Key: TypeAlias = tuple[str, str]
"""Controller name and resource key."""
_DONE = frozenset(
    {interfaces.Action.CREATED, interfaces.Action.UPDATED, interfaces.Action.PRUNED, interfaces.Action.DELETED}
)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """Hold the results of ``once``: one for every resource, and why controllers could not be watched."""

    results: Mapping[Key, reconcile.Result]
    troubles: Mapping[str, str]

    @property
    def ready(self) -> bool:
        """Return whether every controller was watched, and every resource is ready or gone."""
        return not self.troubles and all(not result.report or result.report.ready for result in self.results.values())


def merge(before: reconcile.Result | None, now: reconcile.Result) -> reconcile.Result:
    """Return the result of a resource that was reconciled more than once, including its earlier changes."""
    if before is None or before.report is None or now.report is None:
        return now
    done = {one.ref: one for one in before.report.objects if one.action in _DONE}
    objects = [
        done.get(one.ref, one) if one.action is interfaces.Action.UNCHANGED else one for one in now.report.objects
    ]
    there = {one.ref for one in objects}
    pruned = [one for one in done.values() if one.action is interfaces.Action.PRUNED and one.ref not in there]
    report = dataclasses.replace(now.report, objects=(*objects, *pruned))
    return dataclasses.replace(now, report=report)
