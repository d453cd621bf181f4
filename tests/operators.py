"""The operator as its users run it: a configuration in a folder, and the process ``lostromos run``."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml

from tests.controlplane import waiting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.controlplane import crds

LOSTROMOS = str(Path(sys.executable).parent / "lostromos")
CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ resource.metadata.name }}"}
data:
  text: {{ resource.spec.text | default("nothing") }}
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Project:
    """A folder with lostromos.yaml and templates."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "lostromos.yaml"

    def write(self, settings: Mapping[str, Any]) -> None:
        self.config.write_text(yaml.safe_dump(dict(settings), sort_keys=False))

    def template(self, name: str, text: str) -> None:
        path = self.folder / "templates" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def project(
    folder: Path,
    kind: crds.CustomKind,
    *,
    templates: Mapping[str, str] | None = None,
    apply: Mapping[str, Any] | None = None,
    watch: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Project:
    """A project with one controller, ``app``, that makes a ConfigMap of each resource unless it is told otherwise."""
    made = Project(folder)
    for name, text in (templates or {"config.yaml": CONFIG_MAP}).items():
        made.template(name, text)
    made.write({"controllers": [controller(kind, apply=apply, watch=watch)], **settings})
    return made


def controller(
    kind: crds.CustomKind,
    *,
    name: str = "app",
    apply: Mapping[str, Any] | None = None,
    watch: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The configuration of one controller."""
    return {
        "name": name,
        "watch": {"kubernetes": {"group": kind.group, "version": kind.version, "kind": kind.kind, **(watch or {})}},
        "render": {"jinja": {"templates": "templates"}},
        "apply": dict(apply or {"server-side": {}}),
    }


class Operator:
    """The process ``lostromos run``; ends with the ``with`` block.

    ``covered``: its coverage is measured in a run that measures coverage, which takes a third more CPU.
    """

    def __init__(self, made: Project, kubeconfig: Path, *arguments: str, covered: bool = True) -> None:
        self.log_file = made.folder / "operator.log"
        self._command = [LOSTROMOS, "run", "-c", str(made.config), f"--kubeconfig={kubeconfig}", *arguments]
        self._covered = covered
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process and self._process.poll() is None:
            self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        with self.log_file.open("ab") as log:
            environment = dict(os.environ) if self._covered else uncovered()
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=environment)

    def says(self, text: str, *, timeout: float = 40.0, times: int = 1) -> None:
        """Wait until the log has a text."""
        try:
            waiting.wait_until(lambda: self.log.count(text) >= times, timeout=timeout, message=text)
        except TimeoutError as error:
            error.add_note(self.log[-4000:])
            raise

    def stop(self, number: int = signal.SIGTERM, *, timeout: float = 25.0) -> int:
        """Send a signal and wait for the end; the exit status (negative: the signal that ended it)."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


def uncovered() -> dict[str, str]:
    """The environment of a process whose coverage is not measured."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


def lostromos(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ``lostromos`` to its end, within a minute."""
    return subprocess.run(
        [LOSTROMOS, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "COLUMNS": "200", **environment},
        check=False,
    )


def with_plugin(file: Path, folder: Path) -> str:
    """Install a plug-in of one file into a folder as pip would; the PYTHONPATH that finds it."""
    metadata = folder / f"{file.stem}-1.0.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Name: {file.stem}\nVersion: 1.0.0\n")
    (metadata / "entry_points.txt").write_text(f"[lostromos]\n{file.stem.replace('_', '-')} = {file.stem}\n")
    shutil.copy(file, folder)
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


def condition(resource: Mapping[str, Any], kind: str = "Ready") -> dict[str, Any]:
    """A condition of a resource, empty if it has none; a status of any shape has none."""
    match resource.get("status"):
        case {"conditions": list(found)}:
            return next((item for item in found if isinstance(item, dict) and item.get("type") == kind), {})
    return {}


def is_ready(resource: Mapping[str, Any]) -> bool:
    """Whether the operator says that the newest generation of a resource is as it should be."""
    ready = condition(resource)
    return ready.get("status") == "True" and ready.get("observedGeneration") == resource["metadata"]["generation"]
