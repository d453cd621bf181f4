"""Whether a process that began an operation is gone: only what is certain counts."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lostromos_core import process as processes
from lostromos_helm.release import holders, storage
from tests.controlplane import waiting


def named(pid: int, start: str | None = None) -> str:
    machine = holders.this_process().partition(".")[0]
    return f"{machine}.{pid}.{processes.start_time(pid) if start is None else start}"


def test_the_name_of_a_process_can_be_a_label() -> None:
    assert storage.is_label(holders.this_process())
    assert named(os.getpid()) == holders.this_process()


def test_a_process_is_gone_when_it_has_ended() -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        name = named(other.pid)
        assert not holders.is_gone(name)
        other.kill()
        waiting.wait_until(lambda: holders.is_gone(name))
    assert holders.is_gone(name)


def test_another_process_with_the_same_number_is_not_the_same() -> None:
    assert holders.is_gone(named(os.getpid(), "1"))
    assert not holders.is_gone(holders.this_process())


@pytest.mark.parametrize(
    "name", ["", "x", "0123456789abcdef.1.1", "..", f"{holders.this_process().partition('.')[0]}.x.1"]
)
def test_nothing_is_known_of_processes_elsewhere(name: str) -> None:
    assert not holders.is_gone(name)


def test_two_processes_of_a_machine_have_it_in_common() -> None:
    command = [sys.executable, "-c", "from lostromos_helm.release import holders; print(holders.this_process())"]
    other = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert other.partition(".")[0] == holders.this_process().partition(".")[0]
    assert other != holders.this_process()
    assert holders.is_gone(other)
