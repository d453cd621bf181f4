"""The floor of Helm, measured: the same releases by calls of Helm alone, several at once, on the same control plane."""

import concurrent.futures
import json
import os
import resource
import subprocess
import time
from pathlib import Path

from tests.bench import counters, floor, processes, workload
from tests.controlplane import api, binaries, cluster


def measure(
    plane: cluster.ControlPlane, admin: api.Api, *, applier: workload.Applier, namespace: str, count: int, folder: Path
) -> floor.Floor:
    """Install so many releases into a new namespace. Raises floor.FloorError."""
    admin.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    processes.wait_until_quiet(plane.api_pid, within=floor.QUIET_WITHIN)
    environment = {
        **os.environ,
        "HELM_CACHE_HOME": str(folder / "floor"),
        "KUBECACHEDIR": str(folder / "floor" / "kube"),
    }
    command = [
        str(binaries.helm(applier)),
        "install",
        "",
        str(workload.CHART),
        f"--namespace={namespace}",
        "--values=-",
    ]
    command += ["--disable-openapi-validation", "--output=json", f"--kubeconfig={plane.kubeconfig}"]

    def install(name: str) -> None:
        values = json.dumps(workload.resource(name, namespace=namespace)["spec"])
        done = subprocess.run(
            [*command[:2], name, *command[3:]],
            input=values,
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        if done.returncode:
            raise floor.FloorError(f"helm install {name}: {done.stderr}")

    meter = counters.Meter(plane, admin)
    meter.start()
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(workload.AT_ONCE_HELM) as pool:
        list(pool.map(install, workload.names(count)))
    seconds, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return floor.Floor(seconds=seconds, cpu=cpu, peak_mib=None, spent=meter.stop(), updates=())
