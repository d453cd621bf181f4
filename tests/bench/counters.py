"""What the servers did for a phase: their CPU time, and the requests that the API server counted."""

import collections
import dataclasses
import time
from collections.abc import Mapping
from typing import Final

from tests.bench import processes
from tests.controlplane import api, cluster, metrics

NOT_OURS: Final = frozenset({"leases", "ipaddresses"})
"""Written by the API server for itself: its own Lease, and an IPAddress for each Service."""

READS: Final = frozenset({"GET", "LIST"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Seconds of wall clock and of CPU, and successful or refused requests by resource."""

    seconds: float
    api_cpu: float
    etcd_cpu: float
    writes: Mapping[str, int]
    reads: Mapping[str, int]


class Meter:
    """Reads the counters of a control plane before and after a phase.

    Caveat: asking for the counters costs the API server tens of milliseconds, so that is done outside the phase.
    """

    def __init__(self, plane: cluster.ControlPlane, admin: api.Api) -> None:
        self._plane = plane
        self._admin = admin

    def start(self) -> None:
        """The phase begins."""
        self._before = self._admin.metrics()
        # It goes on collecting its garbage for a moment.
        time.sleep(0.3)
        self._cpu = self._read()

    def stop(self) -> Spent:
        """The phase has ended; what it took."""
        now = self._read()
        seconds, api_cpu, etcd_cpu = (after - before for before, after in zip(self._cpu, now, strict=True))
        after = self._admin.metrics()
        return Spent(
            seconds=seconds,
            api_cpu=api_cpu,
            etcd_cpu=etcd_cpu,
            writes=_difference(self._before, after, verbs=frozenset(metrics.WRITES)),
            reads=_difference(self._before, after, verbs=READS),
        )

    def _read(self) -> tuple[float, float, float]:
        return time.perf_counter(), processes.cpu(self._plane.api_pid), processes.cpu(self._plane.etcd_pid)


def _difference(before: metrics.Metrics, after: metrics.Metrics, *, verbs: frozenset[str]) -> Mapping[str, int]:
    """How many requests with these verbs there were between two readings, by resource and subresource."""
    counts = _count(after, verbs)
    counts.subtract(_count(before, verbs))
    return {name: number for name, number in sorted(counts.items()) if number}


def _count(reading: metrics.Metrics, verbs: frozenset[str]) -> collections.Counter[str]:
    counts: collections.Counter[str] = collections.Counter()
    for sample in reading.samples:
        labels = sample.labels
        if sample.name == "apiserver_request_total" and labels["verb"] in verbs and labels["resource"] not in NOT_OURS:
            counts["/".join(filter(None, (labels["resource"], labels["subresource"])))] += int(sample.value)
    return counts
