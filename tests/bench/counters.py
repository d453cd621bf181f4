"""What the servers did for a phase: their CPU time, and the requests that the API server counted."""

import collections
import dataclasses
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tests.bench import processes
from tests.controlplane import api, cluster, metrics

NOT_OURS: Final = frozenset({"", "flowschemas", "ipaddresses", "leases", "prioritylevelconfigurations", "servicecidrs"})
"""Written by the API server for itself, such as an IPAddress for each Service; requests without a resource have none."""

EVENTS: Final = "/apis/events.k8s.io/v1/events"
REPAIR: Final = "ipallocator-repair-controller"
"""A part of the API server that now and then meets a new Service whose IPAddress it has not seen, and tells an Event."""

READS: Final = frozenset({"GET", "LIST"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Seconds of wall clock and of CPU, and successful or refused requests by resource, without dry runs.

    `rest_cpu` is what all processes used but the servers and the benchmark itself: who was measured, and strangers.
    """

    seconds: float
    api_cpu: float
    etcd_cpu: float
    rest_cpu: float
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
        self._events = self._count_own_events()
        self._before = self._admin.metrics()
        # It goes on collecting its garbage for a moment.
        time.sleep(0.3)
        self._cpu = self._read()

    def stop(self) -> Spent:
        """The phase has ended; what it took."""
        now = self._read()
        seconds, api_cpu, etcd_cpu, own, everybody = (
            after - before for before, after in zip(self._cpu, now, strict=True)
        )
        after = self._admin.metrics()
        own_events = self._count_own_events() - self._events
        return Spent(
            seconds=seconds,
            api_cpu=api_cpu,
            etcd_cpu=etcd_cpu,
            rest_cpu=everybody - api_cpu - etcd_cpu - own,
            writes=_difference(self._before, after, verbs=frozenset(metrics.WRITES), without={"events": own_events}),
            reads=_difference(self._before, after, verbs=READS),
        )

    def _count_own_events(self) -> int:
        """How many Events the API server has written itself."""
        return sum(event.get("reportingController") == REPAIR for event in self._admin.list(EVENTS))

    def _read(self) -> tuple[float, ...]:
        servers = processes.cpu(self._plane.api_pid), processes.cpu(self._plane.etcd_pid)
        return time.perf_counter(), *servers, time.process_time(), processes.cpu_of_all()


def _difference(
    before: metrics.Metrics,
    after: metrics.Metrics,
    *,
    verbs: frozenset[str],
    without: Mapping[str, int] = MappingProxyType({}),
) -> Mapping[str, int]:
    """How many requests with these verbs there were between two readings, by resource and subresource."""
    counts = _count(after, verbs)
    counts.subtract(_count(before, verbs))
    counts.subtract(without)
    return {name: number for name, number in sorted(counts.items()) if number}


def _count(reading: metrics.Metrics, verbs: frozenset[str]) -> collections.Counter[str]:
    counts: collections.Counter[str] = collections.Counter()
    for sample in reading.samples:
        labels = sample.labels
        if sample.name != "apiserver_request_total" or labels["dry_run"]:
            continue
        if labels["verb"] in verbs and labels["resource"] not in NOT_OURS:
            counts["/".join(filter(None, (labels["resource"], labels["subresource"])))] += int(sample.value)
    return counts
