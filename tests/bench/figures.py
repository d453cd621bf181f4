"""From runs to figures: medians, targets, and whether they are met."""

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Literal

from tests.bench import measures, runs


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number of the operator, beside the floor's where that has one; medians over the runs."""

    name: str
    unit: str
    operator: float
    floor: float | None
    target: str
    verdict: Literal["met", "missed", ""]
    binding: bool


def figures(done: Sequence[runs.Run]) -> list[Figure]:
    """All figures of runs with the same plan."""
    found = (_figure(measure, done) for measure in [*measures.MEASURES, *measures.by_resource(done)])
    return [figure for figure in found if figure is not None]


def growth(points: Sequence[Sequence[runs.Run]]) -> float:
    """How much more CPU a resource costs the operator where they are most, than where they are fewest."""
    few, many = min(points, key=_count), max(points, key=_count)
    return _cost(many) / _cost(few)


def _count(done: Sequence[runs.Run]) -> int:
    return done[0].plan.count


def _cost(done: Sequence[runs.Run]) -> float:
    return statistics.median(run.converge.cpu / run.plan.count for run in done)


def _figure(measure: measures.Measure, done: Sequence[runs.Run]) -> Figure | None:
    operator, floor = _median(measure.operator, done), _median(measure.floor, done)
    if operator is None:
        return None
    target = next((one for one in measure.targets if one.applies(done[0].plan)), None)
    return Figure(
        name=measure.name,
        unit=measure.unit,
        operator=operator,
        floor=floor,
        target=str(target) if target else "",
        verdict="" if target is None else "met" if _is_met(target, measure, done) else "missed",
        binding=target is not None,
    )


def _is_met(target: measures.Target, measure: measures.Measure, done: Sequence[runs.Run]) -> bool:
    def compared(run: runs.Run) -> float | None:
        value, floor = measure.operator(run), measure.floor(run)
        return value / floor if value is not None and floor and target.of_floor else value

    value = _median(compared, done)
    return value is not None and value <= target.most


def _median(value: measures.Value, done: Sequence[runs.Run]) -> float | None:
    found = [number for run in done if (number := value(run)) is not None]
    return statistics.median(found) if found else None
