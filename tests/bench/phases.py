"""What is measured of the operator, phase by phase: converge, update, idle, restart."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests import operators
from tests.bench import counters, observer, processes, running
from tests.controlplane import api, cluster, guard

START_WITHIN: Final = 30.0
EACH_WITHIN: Final = 0.5
"""Seconds that a resource may take, so that a benchmark of an operator that hangs ends."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Converge:
    """From resources that exist to all of them ready. Seconds; CPU until the operator was quiet again.

    `seconds` counts from the begin of the watch, `since_known` from the end of its first list, and `since_start` from
    the start of the process. `start_cpu` is what came before the watch, `cpu` what came after.
    """

    seconds: float
    since_known: float
    since_start: float
    start_cpu: float
    cpu: float
    cpu_of_children: float
    peak_mib: float
    spent: counters.Spent


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """With nothing to do: seconds, and seconds of CPU of the operator."""

    seconds: float
    cpu: float
    spent: counters.Spent


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """A new process, from its start until it was quiet: seconds, and seconds of CPU, start included."""

    seconds: float
    cpu: float
    peak_mib: float
    spent: counters.Spent


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """An operator's configuration, the control plane that it works on, and the resources that it works for.

    `watchman` kills an operator that is left when the benchmark itself is killed.
    """

    plane: cluster.ControlPlane
    admin: api.Api
    watchman: guard.Guard
    project: operators.Project
    namespace: str
    names: Sequence[str]

    @property
    def within(self) -> float:
        """Seconds that something may take that happens to all resources."""
        return START_WITHIN + EACH_WITHIN * len(self.names)

    def operator(self, *, profile: Path | None = None) -> running.Operator:
        """The operator, not started yet."""
        return running.Operator(self.project, self.plane.kubeconfig, watchman=self.watchman, profile=profile)

    def meter(self) -> counters.Meter:
        """A running meter."""
        meter = counters.Meter(self.plane, self.admin)
        meter.start()
        return meter


def converge(subject: Subject, operator: running.Operator, meter: counters.Meter, *, version: str) -> Converge:
    """Follow an operator that was just started; `version` is the resources' before."""
    started = operator.wait_for(running.STARTED, within=START_WITHIN)
    ready = observer.wait_until_ready(
        subject.admin,
        namespace=subject.namespace,
        version=version,
        names=subject.names,
        within=round(subject.within),
    )
    known = operator.wait_for(running.KNOWN, within=START_WITHIN)
    processes.wait_until_quiet(operator.pid, within=START_WITHIN)
    cpu = processes.cpu(operator.pid)
    children = processes.cpu_of_children(operator.pid)
    return Converge(
        seconds=ready - started.at,
        since_known=ready - known.at,
        since_start=ready - operator.begin,
        start_cpu=started.cpu,
        cpu=cpu - started.cpu,
        cpu_of_children=children,
        peak_mib=processes.peak_mib(operator.pid),
        spent=meter.stop(),
    )


def idle(subject: Subject, operator: running.Operator, *, seconds: float) -> Idle:
    """Let the operator do nothing for some seconds."""
    meter = subject.meter()
    before = processes.cpu(operator.pid)
    time.sleep(seconds)
    cpu = processes.cpu(operator.pid) - before
    spent = meter.stop()
    return Idle(seconds=spent.seconds, cpu=cpu, spent=spent)


def restart(subject: Subject) -> Restart:
    """Start the operator again, with all its work done by the one before."""
    meter = subject.meter()
    with subject.operator() as operator:
        operator.wait_for(running.KNOWN, within=START_WITHIN)
        settled = processes.wait_until_quiet(operator.pid, within=subject.within)
        cpu = processes.cpu(operator.pid) + processes.cpu_of_children(operator.pid)
        peak_mib = processes.peak_mib(operator.pid)
        spent = meter.stop()
    return Restart(seconds=settled - operator.begin, cpu=cpu, peak_mib=peak_mib, spent=spent)
