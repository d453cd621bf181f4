"""Programs that stand for exec plug-ins are found among the children of this process, and ended."""

import os
import subprocess
from pathlib import Path

from lostromos_core.kube.auth import exec_plugins

MARK = {"KUBERNETES_EXEC_INFO": "{}"}


def test_a_plug_in_that_is_about_to_replace_itself_is_ended(tmp_path: Path) -> None:
    """For a moment of an `exec`, a process has no variables to be known by; it execs as a wrapper script does."""
    script = tmp_path / "wrapper"
    script.write_text('#!/bin/sh\nexec "$0"\n')
    script.chmod(0o755)
    for _ in range(60):
        with subprocess.Popen([script], env={**os.environ, **MARK}) as child:
            try:
                assert exec_plugins.end_plugins() == 1
            finally:
                child.kill()


def test_other_programs_go_on() -> None:
    with subprocess.Popen(["sleep", "60"]) as child, subprocess.Popen(["sleep", "60"], env={}) as bare:
        try:
            assert exec_plugins.end_plugins() == 0
            assert child.poll() is None
            assert bare.poll() is None
        finally:
            child.kill()
            bare.kill()


def test_one_that_has_ended_and_was_not_waited_for_is_no_plug_in() -> None:
    with subprocess.Popen(["true"], env=MARK) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert exec_plugins.end_plugins() == 0
