"""One run: the floor on a fresh control plane, and then the operator through all its phases on another."""

import contextlib
import dataclasses
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from tests.bench import floor as floors
from tests.bench import helm_floor, observer, phases, processes, running, workload
from tests.controlplane import api, cluster, guard

WARM_UP: Final = 40
"""Resources that the floor's program makes first: the API server's first writes cost several times the later ones."""

ANSWER_WITHIN: Final = 600.0
"""Seconds: a watch is silent while the operator works on others."""

Say: TypeAlias = Callable[[str], None]
"""Tells the person who waits what happens now."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one run does. `trials` are updates; `idle` is in seconds, 0 for none; `profile` is cProfile's file."""

    count: int
    applier: workload.Applier
    trials: int
    idle: float
    headless: bool = False
    restart: bool = True
    profile: Path | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run measured. `updates` are the seconds of each; what was not asked for is None."""

    plan: Plan
    floor: floors.Floor
    converge: phases.Converge
    updates: Sequence[float]
    repairs: Sequence[float]
    idle: phases.Idle | None
    restart: phases.Restart | None


def run(plan: Plan, *, say: Say) -> Run:
    """Measure everything once. Raises what its parts raise; leaves no process and no file."""
    folder = Path(tempfile.gettempdir(), f"lostromos-bench-{secrets.token_hex(6)}")
    folder.mkdir(mode=0o700)
    with contextlib.closing(guard.Guard(folder)) as watchman:
        # Each has a control plane of its own, so that none works on top of what the other has left.
        with _bench(plan, folder, watchman, say) as bench:
            floor = bench.floor()
        with _bench(plan, folder, watchman, say) as bench:
            return bench.operator(floor)


@contextlib.contextmanager
def _bench(plan: Plan, folder: Path, watchman: guard.Guard, say: Say) -> Iterator["_Bench"]:
    say("start a control plane")
    with (
        cluster.ControlPlane(controller_manager=plan.applier in workload.HELM) as plane,
        api.Api(plane.access(), within=ANSWER_WITHIN) as admin,
    ):
        workload.define(admin)
        bench = _Bench(plan, plane, admin, folder, watchman, say)
        bench.warm_up()
        yield bench


class _Bench:
    """A run's steps, which share the control plane."""

    def __init__(
        self,
        plan: Plan,
        plane: cluster.ControlPlane,
        admin: api.Api,
        folder: Path,
        watchman: guard.Guard,
        say: Say,
    ) -> None:
        self._plan = plan
        self._plane = plane
        self._admin = admin
        self._say = say
        self._project = workload.project(folder, applier=plan.applier, namespace="bench", headless=plan.headless)
        names = workload.names(plan.count)
        self._subject = phases.Subject(plane, admin, watchman, self._project, namespace="bench", names=names)

    def warm_up(self) -> None:
        """Make the API server do for the first time what it will be measured with."""
        self._say("warm up")
        self._floor("warm-up", count=WARM_UP, trials=0)

    def floor(self) -> floors.Floor:
        """Measure the floor."""
        self._say(f"floor: {self._plan.count} resources")
        return self._floor("bench", count=self._plan.count, trials=self._plan.trials)

    def operator(self, floor: floors.Floor) -> Run:
        """Measure the operator."""
        self._say(f"create {self._plan.count} resources for the operator")
        workload.create(self._admin, namespace="bench", count=self._plan.count)
        processes.wait_until_quiet(self._plane.api_pid, within=floors.QUIET_WITHIN)
        converge, updates, repairs, idle = self._first_process()
        return Run(
            plan=self._plan,
            floor=floor,
            converge=converge,
            updates=updates,
            repairs=repairs,
            idle=idle,
            restart=self._restart() if self._plan.restart else None,
        )

    def _floor(self, namespace: str, *, count: int, trials: int) -> floors.Floor:
        if self._plan.applier in workload.HELM:
            return helm_floor.measure(
                self._plane, self._admin, applier=self._plan.applier, namespace=namespace, count=count,
                folder=self._project.folder,
            )  # fmt: skip
        return floors.measure(
            self._plane, self._admin, project=self._project, namespace=namespace, count=count, trials=trials
        )

    def _restart(self) -> phases.Restart:
        self._say("restart")
        return phases.restart(self._subject)

    def _first_process(self) -> tuple[phases.Converge, Sequence[float], Sequence[float], phases.Idle | None]:
        self._say("converge")
        subject = self._subject
        version = observer.version(self._admin, workload.KIND.path("bench"))
        meter = subject.meter()
        with subject.operator(profile=self._plan.profile) as operator:
            converge = phases.converge(subject, operator, meter, version=version)
            self._say(f"update: {self._plan.trials} times")
            updates = observer.updates(self._admin, namespace="bench", names=subject.names, trials=self._plan.trials)
            self._say(f"drift: {self._plan.trials} times")
            repairs = observer.repairs(self._admin, namespace="bench", names=subject.names, trials=self._plan.trials)
            return converge, updates, repairs, self._idle(operator) if self._plan.idle else None

    def _idle(self, operator: running.Operator) -> phases.Idle:
        self._say(f"idle: {self._plan.idle:g} s")
        processes.wait_until_quiet(operator.pid, within=self._subject.within)
        return phases.idle(self._subject, operator, seconds=self._plan.idle)
