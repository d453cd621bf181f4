"""The command line of the control plane that other tests stand on: it runs, is kept, and goes without a trace."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.controlplane import binaries, child, waiting

CHECKOUT = Path(__file__).parents[2]

Running: TypeAlias = tuple["subprocess.Popen[str]", Mapping[str, int]]
"""A `run` in progress, and the process ids by name."""

CONTROLPLANE = [sys.executable, "-m", "tests.controlplane"]


def controlplane(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m tests.controlplane` with these arguments."""
    return subprocess.run(
        [*CONTROLPLANE, *arguments],
        cwd=CHECKOUT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def runs(pid: int) -> bool:
    """Whether a process runs; a zombie, which nobody may be there to reap, does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.cluster
def test_run_gives_the_command_a_cluster_and_returns_its_exit_status(tmp_path: Path) -> None:
    script = (
        "import json, os, pathlib, sys;"
        "print(json.dumps({name: os.environ[name] for name in ('KUBECONFIG', 'API_PID', 'ETCD_PID', 'PATH')}));"
        "print(pathlib.Path(os.environ['KUBECONFIG']).exists());"
        "sys.exit(7)"
    )
    outcome = controlplane("run", "--", sys.executable, "-c", script, TMPDIR=str(tmp_path))
    assert outcome.returncode == 7, outcome.stderr
    environment, there = outcome.stdout.splitlines()
    seen = json.loads(environment)
    assert there == "True"
    assert seen["PATH"] == os.environ["PATH"]
    assert not runs(int(seen["API_PID"]))
    assert not runs(int(seen["ETCD_PID"]))
    assert list(tmp_path.iterdir()) == []


def test_run_answers_like_a_shell_if_there_is_no_such_command() -> None:
    assert controlplane("run", "no-such-command").returncode == 127


def test_the_status_of_a_command_ended_by_a_signal_is_that_of_a_shell() -> None:
    assert child.run(["sh", "-c", "kill -9 $$"], environment=os.environ) == 128 + signal.SIGKILL


@pytest.mark.parametrize("arguments", [["run"], ["nonsense"], ["up", "surplus"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert controlplane(*arguments).returncode == 2


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """`run` with a command that waits for a signal, and the process ids of all."""
    script = (
        "import os, signal, sys;"
        "[signal.signal(n, lambda n, _: sys.exit(n)) for n in (signal.SIGINT, signal.SIGTERM)];"
        "print(os.getpid(), os.environ['API_PID'], os.environ['ETCD_PID'], flush=True);"
        "signal.pause()"
    )
    command = [*CONTROLPLANE, "run", "--", sys.executable, "-c", script]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=CHECKOUT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        yield process, dict(zip(("command", "api", "etcd"), pids, strict=True))
        process.kill()


@pytest.mark.cluster
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_hands_signals_to_the_command_and_then_cleans_up(
    number: signal.Signals, running: Running, tmp_path: Path
) -> None:
    process, pids = running
    process.send_signal(number)
    assert process.wait(30) == number
    assert not any(runs(pid) for pid in pids.values())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.cluster
def test_nothing_is_left_even_by_kill_9(running: Running, tmp_path: Path) -> None:
    process, pids = running
    process.kill()
    process.wait()
    os.kill(pids["command"], signal.SIGKILL)
    waiting.wait_until(lambda: not any(runs(pid) for pid in pids.values()))
    waiting.wait_until(lambda: not list(tmp_path.iterdir()))


@pytest.mark.cluster
def test_up_keeps_one_until_down(tmp_path: Path) -> None:
    first = controlplane("up", "--state", str(tmp_path))
    try:
        assert first.returncode == 0, first.stderr
        second = controlplane("up", "--state", str(tmp_path))
        assert "already up" in second.stderr
        assert second.stdout == first.stdout
        kubeconfig = Path(first.stdout.strip().removeprefix("export KUBECONFIG="))
        assert kubeconfig.exists()
        assert controlplane("up", "--controller-manager", "--state", str(tmp_path)).returncode == 1
    finally:
        last = controlplane("down", "--state", str(tmp_path))
    assert last.returncode == 0, last.stderr
    assert not kubeconfig.parent.exists()
    assert "No control plane is up" in controlplane("down", "--state", str(tmp_path)).stderr


def test_where_names_every_program_and_builds_nothing(tmp_path: Path) -> None:
    outcome = controlplane("where", LOSTROMOS_CACHE=str(tmp_path), KUBEBUILDER_ASSETS="", PATH=os.defpath)
    assert outcome.returncode == 0, outcome.stderr
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "go", binaries.version()):
        assert name in outcome.stdout
    assert list(tmp_path.iterdir()) == []
