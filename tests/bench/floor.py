"""The floor, measured: the same writes by a minimal program, on the same control plane, in a namespace of its own."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from tests import operators
from tests.bench import counters, observer, processes, workload, writes
from tests.controlplane import api, cluster

QUIET_WITHIN: Final = 60.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What the writes of all resources took: seconds, seconds of CPU; and seconds from each change to the child.

    The memory is that of one process; there is none to tell of many.
    """

    seconds: float
    cpu: float
    peak_mib: float | None
    spent: counters.Spent
    updates: Sequence[float]


class FloorError(Exception):
    """The floor's program failed; it has said why on standard error."""


def measure(
    plane: cluster.ControlPlane,
    admin: api.Api,
    *,
    project: operators.Project,
    namespace: str,
    count: int,
    trials: int,
) -> Floor:
    """Run the program for so many resources in a new namespace. Raises FloorError."""
    owners = workload.create(admin, namespace=namespace, count=count)
    plan = project.folder / f"{namespace}.json"
    plan.write_text(json.dumps(_plan(plane, admin, owners, writes.render(project, project.folder), namespace)))
    processes.wait_until_quiet(plane.api_pid, within=QUIET_WITHIN)
    command = [sys.executable, "-m", "tests.bench.floor_program", str(plan)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            return _measure(plane, admin, process, names=workload.names(count), namespace=namespace, trials=trials)
        finally:
            process.kill()


def _measure(
    plane: cluster.ControlPlane,
    admin: api.Api,
    process: subprocess.Popen[str],
    *,
    names: Sequence[str],
    namespace: str,
    trials: int,
) -> Floor:
    _answer(process)
    meter = counters.Meter(plane, admin)
    meter.start()
    before = processes.cpu(process.pid)
    _go(process)
    seconds = float(_answer(process))
    processes.wait_until_quiet(process.pid, within=QUIET_WITHIN)
    cpu = processes.cpu(process.pid) - before
    spent = meter.stop()
    updates = observer.updates(admin, namespace=namespace, names=names, trials=trials)
    return Floor(seconds=seconds, cpu=cpu, peak_mib=processes.peak_mib(process.pid), spent=spent, updates=updates)


def _plan(
    plane: cluster.ControlPlane,
    admin: api.Api,
    owners: Sequence[api.Json],
    objects: Sequence[api.Json],
    namespace: str,
) -> api.Json:
    requests = {owner["metadata"]["name"]: writes.of(owner, objects) for owner in owners}
    access = plane.access()
    paths = [
        workload.KIND.path(namespace),
        *(workload.children_path(plural, namespace) for plural in workload.CHILDREN),
    ]
    return {
        "url": access.url,
        "token": access.token,
        "ca_file": str(access.ca_file),
        "watches": [f"{path}?watch=true&resourceVersion={observer.version(admin, path)}" for path in paths],
        "owners": list(requests.values()),
        "config_maps": {name: _config_map(made) for name, made in requests.items()},
    }


def _config_map(requests: Sequence[writes.Request]) -> writes.Request:
    return next(request for request in requests if request[1]["kind"] == "ConfigMap")


def _answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise FloorError(f"the floor's program ended with status {process.wait()}")
    return line


def _go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
