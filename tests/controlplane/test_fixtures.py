"""The fixtures for all tests hold what they promise, seen from outside: in a run of pytest of its own."""

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


def pytest_says(folder: Path, *arguments: str, test: str) -> str:
    """Run one file of tests with our fixtures; the output."""
    (folder / "test_it.py").write_text(test)
    outcome = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", *arguments, folder],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return outcome.stdout


def test_a_test_that_leaves_a_process_behind_fails(tmp_path: Path) -> None:
    test = "import subprocess\n\n\ndef test_it():\n    global child\n    child = subprocess.Popen(['sleep', '10'])\n"
    said = pytest_says(tmp_path, test=test)
    assert "the test left behind" in said
    assert "sleep 10" in said
    assert "1 passed, 1 error" in said


def test_tests_that_use_a_control_plane_are_marked(tmp_path: Path) -> None:
    test = "\n\n".join(f"def test_{fixture}({fixture}): ..." for fixture in ("api", "own_control_plane", "tmp_path"))
    said = pytest_says(tmp_path, "--strict-markers", "-o", "markers=cluster", "-m", "not cluster", test=test)
    assert "1 passed, 2 deselected" in said
