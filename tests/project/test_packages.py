"""The artefacts: what is public, what the wheels hold, and that they work in a clean environment."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import lostromos_core
import lostromos_kubectl

ROOT = Path(__file__).parents[2]
PUBLIC = [
    "ApiError", "Applied", "Applier", "Backend", "ConfigError", "Context", "Controller", "EventSink", "JinjaRenderer", "KubernetesWatcher",
    "LostromosError", "Manifest", "Manifests", "ObjectRef", "Operator", "Options", "RefusedError", "RenderError", "Renderer",
    "Report", "Resource", "Unit", "ValuesRenderer", "Watcher", "hookimpl",
]  # fmt: skip


def test_the_public_names_are_few_sorted_and_there() -> None:
    assert lostromos_core.__all__ == PUBLIC
    assert len(PUBLIC) <= 25
    assert all(hasattr(lostromos_core, name) for name in PUBLIC)
    assert lostromos_kubectl.__all__ == ["KubectlApplier", "ServerSideApplier"]


@pytest.mark.timeout(600)
def test_the_wheels_work_in_a_clean_environment_and_the_core_says_what_is_missing(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    for folder in (".", "lostromos_kubectl", "lostromos_helm"):
        source = tmp_path / "source" / folder
        copy(ROOT / folder, source)
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheels), str(source))
    assert sorted(path.name.split("-")[0] for path in wheels.iterdir()) == [
        "lostromos_core",
        "lostromos_helm",
        "lostromos_kubectl",
    ]
    for wheel in wheels.iterdir():
        package = wheel.name.split("-")[0]
        held = {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")}
        assert held == {
            str(path.relative_to(ROOT)) for path in (ROOT / package).rglob("*.py") if "build" not in path.parts
        }
    clean = tmp_path / "clean"
    venv.create(clean, with_pip=True)
    python, lostromos = str(clean / "bin" / "python"), str(clean / "bin" / "lostromos")
    run(python, "-m", "pip", "install", "--quiet", *map(str, wheels.iterdir()))
    assert "applier server-side, applier kubectl" in run(lostromos, "plugins", "-o", "table", COLUMNS="200")
    example = tmp_path / "source" / "examples" / "access-control"
    config = f"--config={example / 'lostromos.yaml'}"
    arguments = ["-f", str(example / "webapp.yaml"), "--objects", str(example / "cluster" / "2-platform.yaml")]
    assert run(lostromos, "render", config, *arguments).count("\nkind: ") == 8
    run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "lostromos-kubectl")
    run(lostromos, "version")
    done = subprocess.run([lostromos, "run", config], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "pip install ./lostromos_kubectl" in done.stderr.replace("\n", " ")
    assert "py.typed" in run(
        python, "-c", "import lostromos_core, os; print(os.listdir(os.path.dirname(lostromos_core.__file__)))"
    )


def copy(source: Path, target: Path) -> None:
    """Copy what belongs to the project, so that building leaves nothing in the checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "."],
        cwd=source,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (source / name).is_file() and not name.startswith("tests/"):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes((source / name).read_bytes())


def run(*command: str, **environment: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
