"""What is read off a run: each figure, where its floor is, and its target.

The targets are those of the project.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from tests.bench import counters, phases, runs, workload

Value: TypeAlias = Callable[[runs.Run], float | None]
"""A number of one run, None if the run did not measure it."""

SERVER_SIDE: Final[frozenset[workload.Applier]] = frozenset({"server-side"})
ALL_APPLIERS: Final[frozenset[workload.Applier]] = frozenset({"server-side", "kubectl"})
IDLE_APPLIERS: Final = ALL_APPLIERS | workload.HELM
FEW: Final = 200
MANY: Final = 10_000
GROWTH: Final = 1.5
"""How many times what a resource costs the operator as one of a hundred, it may cost as one of thousands."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """At most so much, for runs with up to so many `resources`; with `of_floor`, so many times the floor of the run."""

    most: float
    of_floor: bool = False
    appliers: frozenset[workload.Applier] = SERVER_SIDE
    resources: int = MANY

    def applies(self, plan: runs.Plan) -> bool:
        """Whether it is a target of such a run."""
        return plan.applier in self.appliers and plan.count <= self.resources

    def __str__(self) -> str:
        return f"<= {self.most:g}{' x floor' if self.of_floor else ''}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A figure that a run has, or may have."""

    name: str
    unit: str
    operator: Value
    floor: Value = lambda _: None
    targets: Sequence[Target] = ()


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The smallest value that at least so many percent of the values do not exceed; None of no values."""
    ranked = sorted(values)
    return ranked[max(0, -int(-percent * len(ranked) // 100) - 1)] if ranked else None


def by_resource(done: Sequence[runs.Run]) -> list[Measure]:
    """One for each resource that was written to."""
    names = sorted({name for run in done for name in run.converge.spent.writes})
    return [_writes_of(name) for name in names]


def _writes_of(name: str) -> Measure:
    return Measure(
        name=f"  writes of {name}",
        unit="",
        operator=lambda run: run.converge.spent.writes.get(name, 0) / run.plan.count,
        floor=lambda run: run.floor.spent.writes.get(name, 0) / run.plan.count,
    )


def _each(take: Callable[[runs.Run], float]) -> Value:
    """Milliseconds of each resource, of seconds of all."""
    return lambda run: 1000 * take(run) / run.plan.count


def _helm(take: Callable[[runs.Run], float]) -> Value:
    """As ``_each``, of runs with Helm only."""
    return lambda run: 1000 * take(run) / run.plan.count if run.plan.applier in workload.HELM else None


def _children(run: runs.Run) -> float | None:
    return 1000 * run.converge.cpu_of_children / run.plan.count if run.converge.cpu_of_children else None


def _all_cpu(converge: phases.Converge) -> float:
    return converge.start_cpu + converge.cpu + converge.cpu_of_children


def _strangers(spent: counters.Spent, cpu: float) -> float:
    """Percent of the machine that others took while somebody used so many seconds of CPU."""
    cores = os.cpu_count() or 1
    return max(0.0, 100 * (spent.rest_cpu - cpu) / spent.seconds / cores)


def _updates(percent: float) -> Value:
    return lambda run: _milliseconds(percentile(run.updates, percent))


def _floor_updates(percent: float) -> Value:
    return lambda run: _milliseconds(percentile(run.floor.updates, percent))


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds


def _total(requests: Mapping[str, int]) -> int:
    return sum(requests.values())


MEASURES: Final[Sequence[Measure]] = (
    Measure(
        name="converge",
        unit="s",
        operator=lambda run: run.converge.seconds,
        floor=lambda run: run.floor.seconds,
        targets=(Target(most=2, of_floor=True),),
    ),
    Measure(name="  since all were known", unit="s", operator=lambda run: run.converge.since_known),
    Measure(name="  since the process started", unit="s", operator=lambda run: run.converge.since_start),
    Measure(
        name="operator CPU a CR",
        unit="ms",
        operator=_each(lambda run: run.converge.cpu),
        floor=_each(lambda run: run.floor.cpu),
        targets=(Target(most=6),),
    ),
    Measure(name="  its processes' CPU a CR", unit="ms", operator=_children),
    Measure(
        name="operator and helm CPU a CR",
        unit="ms",
        operator=_helm(lambda run: run.converge.cpu + run.converge.cpu_of_children),
        floor=_each(lambda run: run.floor.cpu),
        targets=(Target(most=1.2, of_floor=True, appliers=workload.HELM),),
    ),
    Measure(
        name="converge beside raw helm",
        unit="s",
        operator=lambda run: run.converge.seconds if run.plan.applier in workload.HELM else None,
        floor=lambda run: run.floor.seconds,
        targets=(Target(most=1.2, of_floor=True, appliers=workload.HELM),),
    ),
    Measure(name="  its CPU before the watch", unit="s", operator=lambda run: run.converge.start_cpu),
    Measure(
        name="API server CPU a CR",
        unit="ms",
        operator=_each(lambda run: run.converge.spent.api_cpu),
        floor=_each(lambda run: run.floor.spent.api_cpu),
        targets=(Target(most=20),),
    ),
    Measure(
        name="etcd CPU a CR",
        unit="ms",
        operator=_each(lambda run: run.converge.spent.etcd_cpu),
        floor=_each(lambda run: run.floor.spent.etcd_cpu),
    ),
    Measure(
        name="peak RSS",
        unit="MiB",
        operator=lambda run: run.converge.peak_mib,
        floor=lambda run: run.floor.peak_mib,
        targets=(Target(most=95, appliers=IDLE_APPLIERS, resources=FEW), Target(most=200, appliers=IDLE_APPLIERS)),
    ),
    Measure(
        name="update to child, p50",
        unit="ms",
        operator=_updates(50),
        floor=_floor_updates(50),
        targets=(Target(most=15),),
    ),
    Measure(
        name="update to child, p99",
        unit="ms",
        operator=_updates(99),
        floor=_floor_updates(99),
        targets=(Target(most=50),),
    ),
    Measure(name="update to child, max", unit="ms", operator=_updates(100), floor=_floor_updates(100)),
    Measure(
        name="drift repaired, p50",
        unit="ms",
        operator=lambda run: _milliseconds(percentile(run.repairs, 50)),
        targets=(Target(most=30),),
    ),
    Measure(name="drift repaired, max", unit="ms", operator=lambda run: _milliseconds(percentile(run.repairs, 100))),
    Measure(
        name="idle CPU",
        unit="%",
        operator=lambda run: 100 * run.idle.cpu / run.idle.seconds if run.idle else None,
        targets=(Target(most=0.5, appliers=SERVER_SIDE | workload.HELM),),
    ),
    Measure(
        name="idle writes",
        unit="",
        operator=lambda run: _total(run.idle.spent.writes) if run.idle else None,
        targets=(Target(most=0, appliers=IDLE_APPLIERS),),
    ),
    Measure(name="restart", unit="s", operator=lambda run: run.restart.seconds if run.restart else None),
    Measure(
        name="restart, CPU",
        unit="s",
        operator=lambda run: run.restart.cpu if run.restart else None,
        targets=(Target(most=1.5, appliers=SERVER_SIDE | workload.HELM, resources=FEW),),
    ),
    Measure(
        name="restart, writes a CR",
        unit="",
        operator=lambda run: _total(run.restart.spent.writes) / run.plan.count if run.restart else None,
        targets=(Target(most=0, appliers=IDLE_APPLIERS),),
    ),
    Measure(
        name="restart, reads a CR",
        unit="",
        operator=lambda run: _total(run.restart.spent.reads) / run.plan.count if run.restart else None,
    ),
    Measure(
        name="CPU taken by others meanwhile",
        unit="%",
        operator=lambda run: _strangers(run.converge.spent, _all_cpu(run.converge)),
        floor=lambda run: _strangers(run.floor.spent, run.floor.cpu),
    ),
    Measure(
        name="writes a CR",
        unit="",
        operator=lambda run: _total(run.converge.spent.writes) / run.plan.count,
        floor=lambda run: _total(run.floor.spent.writes) / run.plan.count,
        targets=(Target(most=6, appliers=ALL_APPLIERS),),
    ),
)
