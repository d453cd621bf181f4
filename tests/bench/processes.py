"""What processes have used: CPU time and memory, from /proc."""

import collections
import os
import time
from pathlib import Path
from typing import Final

TICKS: Final = os.sysconf("SC_CLK_TCK")
"""Of the kernel's CPU accounting, a second: 100 on Linux, so a reading is exact to 10 ms."""

QUIET_SAMPLES: Final = 4
SAMPLE_SECONDS: Final = 0.2


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used, in user and kernel mode, all threads, children not counted."""
    user, system = _times(pid)[:2]
    return (user + system) / TICKS


def cpu_of_children(pid: int) -> float:
    """Seconds of CPU that a process's children had used when they ended and were waited for."""
    user, system = _times(pid)[2:]
    return (user + system) / TICKS


def cpu_of_all() -> float:
    """Seconds that the machine's cores were busy or taken away, since it started, all cores together."""
    user, nice, system, _idle, _waiting, *interrupts = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    return sum(map(int, (user, nice, system, *interrupts))) / TICKS


def peak_mib(pid: int) -> float:
    """The most memory that a process has had resident so far, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"process {pid} has no memory")


def wait_until_quiet(pid: int, *, within: float) -> float:
    """Wait until a process and its children use no CPU to speak of; the moment (`time.perf_counter`) when that began.

    Quiet means at most one tick in 0.8 s. Raises TimeoutError after `within` seconds.
    """
    deadline = time.perf_counter() + within
    samples = collections.deque([_sample(pid)], maxlen=QUIET_SAMPLES + 1)
    while time.perf_counter() < deadline:
        time.sleep(SAMPLE_SECONDS)
        samples.append(_sample(pid))
        (begin, ticks), (_, now) = samples[0], samples[-1]
        if len(samples) > QUIET_SAMPLES and now - ticks <= 1:
            return begin
    raise TimeoutError(f"process {pid} was still busy after {within:g} s")


def _sample(pid: int) -> tuple[float, int]:
    return time.perf_counter(), sum(_times(pid))


def _times(pid: int) -> tuple[int, int, int, int]:
    """utime, stime, cutime and cstime in ticks. Source: proc_pid_stat(5); the name in brackets may hold spaces."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]), int(fields[12]), int(fields[13]), int(fields[14])
