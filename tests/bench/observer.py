"""What the benchmark itself sees of the cluster, by one watch: which resources are ready, when a child has changed."""

import contextlib
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Final

from tests import operators
from tests.bench import workload
from tests.controlplane import api

PAUSE: Final = 0.05
"""Seconds between two trials, so that what the last one still causes does not count for the next."""

STRIDE: Final = 7
"""Which resource is changed next; neighbours were created at the same time."""

TRIAL_WITHIN: Final = 30


def version(admin: api.Api, path: str) -> str:
    """The resourceVersion of a collection now."""
    found: str = admin.get(path, limit="1")["metadata"]["resourceVersion"]
    return found


def wait_until_ready(admin: api.Api, *, namespace: str, version: str, names: Sequence[str], within: int) -> float:
    """The moment (`time.perf_counter`) when the last resource is ready. Raises TimeoutError."""
    waiting = set(names)
    for item in _objects(admin, workload.KIND.path(namespace), version=version, seconds=within):
        if item["metadata"]["name"] in waiting and operators.is_ready(item):
            waiting.discard(item["metadata"]["name"])
            if not waiting:
                return time.perf_counter()
    raise TimeoutError(f"{len(waiting)} of {len(names)} resources were not ready after {within} s")


def updates(admin: api.Api, *, namespace: str, names: Sequence[str], trials: int) -> list[float]:
    """Seconds from the request that changes a resource to its ConfigMap's event, for so many changes one by one."""
    path = workload.children_path("configmaps", namespace)
    seen = _objects(admin, path, version=version(admin, path), seconds=TRIAL_WITHIN * max(trials, 1))
    with contextlib.closing(seen):
        return [_update(admin, seen, namespace, names, trial) for trial in range(trials)]


def repairs(admin: api.Api, *, namespace: str, names: Sequence[str], trials: int) -> list[float]:
    """Seconds from a foreign change of a ConfigMap, or its deletion, to the event of its repair; one by one, in turns."""
    path = workload.children_path("configmaps", namespace)
    with contextlib.closing(
        _objects(admin, path, version=version(admin, path), seconds=TRIAL_WITHIN * max(trials, 1))
    ) as seen:
        return [_repair(admin, seen, path, names, trial) for trial in range(trials)]


def _repair(admin: api.Api, seen: Iterator[api.Json], path: str, names: Sequence[str], trial: int) -> float:
    name = names[trial * STRIDE % len(names)]
    before = admin.get(f"{path}/{name}")
    time.sleep(PAUSE)
    begin = time.perf_counter()
    if trial % 2:
        changed = admin.delete(f"{path}/{name}")["metadata"].get("resourceVersion", "")
    else:
        changed = admin.patch(f"{path}/{name}", {"data": {"MOTTO": f"foreign {trial}"}})["metadata"]["resourceVersion"]
    for item in seen:
        metadata = item["metadata"]
        new = metadata["uid"] != before["metadata"]["uid"] if trial % 2 else metadata["resourceVersion"] != changed
        if metadata["name"] == name and new and item["data"]["MOTTO"] == before["data"]["MOTTO"]:
            return time.perf_counter() - begin
    raise TimeoutError(f"the ConfigMap of {name} was not repaired")


def _update(admin: api.Api, seen: Iterator[api.Json], namespace: str, names: Sequence[str], trial: int) -> float:
    name, motto = names[trial * STRIDE % len(names)], f"Trial {trial}: yes"
    time.sleep(PAUSE)
    begin = time.perf_counter()
    admin.patch(workload.KIND.path(namespace, name), {"spec": {"motto": motto}})
    for item in seen:
        if item["metadata"]["name"] == name and item["data"]["MOTTO"] == motto:
            return time.perf_counter() - begin
    raise TimeoutError(f"the ConfigMap of {name} did not change")


def _objects(admin: api.Api, path: str, *, version: str, seconds: int) -> Generator[api.Json, None, None]:
    for event in admin.watch(path, version=version, seconds=seconds):
        yield event["object"]
