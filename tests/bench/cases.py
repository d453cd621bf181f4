"""The cases in which costs could grow with all others: each measured at a tenth of its size and at its size.

What a resource, or an object, costs must be the same at both. So the tenth is what a floor is to the main benchmark.
"""

import contextlib
import dataclasses
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from tests import operators
from tests.bench import counters, observer, phases, processes, running, runs, workload
from tests.controlplane import api, cluster, guard, waiting

SPACE: Final = "bench"
CONFIG_MAPS: Final = workload.children_path("configmaps", SPACE)
SECRETS: Final = f"/api/v1/namespaces/{SPACE}/secrets"
TRIALS: Final = 10
SETTLE: Final = 15.0
"""Seconds after the last deletion has begun, until what they cost is measured."""
A_FILE: Final = 1_000
"""Documents that one template may make."""
FINALIZER: Final = "example.com/hold"

OBJECT: Final = 'apiVersion: v1\nkind: {kind}\nmetadata: {{name: "{{{{ resource.metadata.name }}}}"}}\n'
TWO: Final = {f"{kind}.yaml": OBJECT.format(kind=kind) for kind in ("ConfigMap", "Secret")}
HELD: Final = {
    "held.yaml": OBJECT.format(kind="ConfigMap").replace('}}"}', f'}}}}", finalizers: [{FINALIZER}]}}'),
}
WIDE: Final = """\
{% for number in range(FIRST, LAST) %}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ resource.metadata.name }}{{ "" if number == 0 else "-" ~ number }}"}
data: {MOTTO: "{{ resource.spec.motto if number == 0 else "" }}"}
{% endfor %}
"""

Figures: TypeAlias = Mapping[str, float]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is measured, at which size by default, and what the size counts."""

    size: int
    of: str
    measure: Callable[["Bench", int], Figures]


@dataclasses.dataclass(frozen=True, slots=True)
class Bench:
    """A fresh control plane, and the folder of an operator's configuration. `idle` is in seconds."""

    plane: cluster.ControlPlane
    admin: api.Api
    watchman: guard.Guard
    folder: Path
    idle: float

    def project(self, templates: Mapping[str, str], **options: Any) -> operators.Project:
        """A configuration with these templates, and options of the applier."""
        apply = {"server-side": {"finalizer": "always", **options}}
        kind = workload.KIND
        return operators.project(self.folder, kind, templates=templates, apply=apply, watch={"namespaces": [SPACE]})

    def create(self, count: int) -> list[str]:
        """Create so many resources; their names."""
        workload.create(self.admin, namespace=SPACE, count=count)
        return workload.names(count)

    def run(self, project: operators.Project, count: int) -> "Run":
        """Run the operator until it has nothing to do any more, and stop it."""
        with self.operator(project) as operator:
            return self.settle(operator, count)

    def operator(self, project: operators.Project) -> running.Operator:
        """The operator, not started yet."""
        return running.Operator(project, self.plane.kubeconfig, watchman=self.watchman)

    def settle(self, operator: running.Operator, count: int) -> "Run":
        """Wait until an operator that was just started has nothing to do any more."""
        meter = counters.Meter(self.plane, self.admin)
        meter.start()
        started = operator.wait_for(running.STARTED, within=phases.START_WITHIN)
        operator.wait_for(running.KNOWN, within=phases.START_WITHIN)
        settled = processes.wait_until_quiet(operator.pid, within=phases.START_WITHIN + count * phases.EACH_WITHIN)
        return Run(settled - started.at, processes.cpu(operator.pid) - started.cpu, meter.stop())

    def reasons(self) -> set[str]:
        """The reasons that the resources give for being ready or not."""
        found = self.admin.list(workload.KIND.path(SPACE))
        return {operators.condition(item).get("reason", "") for item in found}

    def count(self, path: str) -> int:
        """How many objects of the templates a collection has."""
        names = (item["metadata"]["name"] for item in self.admin.list(path))
        return sum(name.startswith("shop-") for name in names)


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """From the start of the watch until nothing was left to do: seconds, seconds of CPU, and what the servers did."""

    seconds: float
    cpu: float
    spent: counters.Spent

    def figures(self, name: str, size: int) -> dict[str, float]:
        """For a table, requests and CPU for one of so many."""
        return {
            f"{name}, s": self.seconds,
            f"{name}, operator CPU each, ms": 1000 * self.cpu / size,
            f"{name}, writes each": sum(self.spent.writes.values()) / size,
            f"{name}, reads each": sum(self.spent.reads.values()) / size,
        }


def doomed(bench: Bench, size: int) -> Figures:
    """A template is gone, and with it an object of each resource: refused at first, and pruned when the limit allows it."""
    bench.create(size)
    bench.run(bench.project(TWO), size)
    plain = bench.run(bench.project(TWO), size)
    (bench.folder / "templates" / "Secret.yaml").unlink()
    refused = bench.run(bench.project({"ConfigMap.yaml": TWO["ConfigMap.yaml"]}), size)
    _check(bench.count(SECRETS) == size and bench.reasons() == {"Waiting"}, "something was pruned without consent")
    pruned = bench.run(bench.project({"ConfigMap.yaml": TWO["ConfigMap.yaml"]}, prune={"controllerShare": 1}), size)
    _check(bench.count(SECRETS) == 0 and bench.reasons() == {"Applied"}, "not all was pruned")
    return {
        **plain.figures("nothing doomed", size),
        **refused.figures("doomed, refused", size),
        **pruned.figures("doomed, pruned", size),
    }


def wide(bench: Bench, size: int) -> Figures:
    """One resource has all objects."""
    starts = range(0, size, A_FILE)
    files = {
        f"wide-{first}.yaml": WIDE.replace("FIRST", str(first)).replace("LAST", str(min(size, first + A_FILE)))
        for first in starts
    }
    project = bench.project(files)
    names = bench.create(1)
    with bench.operator(project) as operator:
        made = bench.settle(operator, size)
        _check(bench.count(CONFIG_MAPS) == size, "not all objects were made")
        updates = observer.updates(bench.admin, namespace=SPACE, names=names, trials=TRIALS)
    again = bench.run(project, size)
    return {
        **made.figures("converge", size),
        "update of one, median, ms": 1000 * statistics.median(updates),
        **again.figures("restart", size),
    }


def held(bench: Bench, size: int) -> Figures:
    """All resources are being deleted, and wait for a finalizer of somebody else's on their object."""
    names = bench.create(size)
    with bench.operator(bench.project(HELD)) as operator:
        bench.settle(operator, size)
        for name in names:
            bench.admin.delete(workload.KIND.path(SPACE, name))
        within = phases.START_WITHIN + size * phases.EACH_WITHIN
        waiting.wait_until(lambda: bench.reasons() == {"Deleting"}, timeout=within, interval=1.0)
        time.sleep(SETTLE)
        meter = counters.Meter(bench.plane, bench.admin)
        meter.start()
        before = processes.cpu(operator.pid)
        time.sleep(bench.idle)
        cpu = processes.cpu(operator.pid) - before
        spent = meter.stop()
        gone = [_release(bench.admin, name) for name in names[:TRIALS]]
    requests = sum(spent.writes.values()) + sum(spent.reads.values())
    return {
        "idle CPU, %": 100 * cpu / spent.seconds,
        "idle requests a second": requests / spent.seconds,
        "last object to resource gone, median, ms": 1000 * statistics.median(gone),
        "last object to resource gone, max, ms": 1000 * max(gone),
    }


CASES: Final[Mapping[str, Case]] = {
    "doomed": Case(size=10_000, of="resources of which a template change dooms one object each", measure=doomed),
    "wide": Case(size=2_000, of="objects of one resource", measure=wide),
    "held": Case(size=1_000, of="resources whose deletion waits for a finalizer", measure=held),
}


def run(case: Case, size: int, *, idle: float, say: runs.Say) -> Mapping[int, Figures]:
    """Measure a case at a tenth of a size and at the size; a fresh control plane for each. Leaves nothing behind."""
    found = {}
    for number in sorted({max(1, size // 10), size}):
        say(f"{number} {case.of}")
        with _bench(idle) as bench:
            found[number] = case.measure(bench, number)
    return found


@contextlib.contextmanager
def _bench(idle: float) -> Iterator[Bench]:
    folder = Path(tempfile.gettempdir(), f"lostromos-bench-{secrets.token_hex(6)}")
    folder.mkdir(mode=0o700)
    with (
        contextlib.closing(guard.Guard(folder)) as watchman,
        cluster.ControlPlane() as plane,
        api.Api(plane.access(), within=runs.ANSWER_WITHIN) as admin,
    ):
        workload.define(admin)
        yield Bench(plane, admin, watchman, folder, idle)


def _release(admin: api.Api, name: str) -> float:
    """Take the foreign finalizer off an object; seconds until its resource is gone."""
    path = workload.KIND.path(SPACE, name)
    begin = time.perf_counter()
    admin.patch(f"{CONFIG_MAPS}/{name}", {"metadata": {"finalizers": None}})
    while admin.exists(path):
        if time.perf_counter() - begin > observer.TRIAL_WITHIN:
            raise TimeoutError(f"{name} was not gone {observer.TRIAL_WITHIN} s after its last object")
        time.sleep(0.002)
    return time.perf_counter() - begin


def _check(condition: object, message: str) -> None:
    if not condition:
        raise running.OperatorEndedError(f"the case did not go as it should: {message}")
