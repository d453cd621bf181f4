"""What stands in clusters and in people's scripts: names that are never changed, only added to.

Whoever renames one of them writes what reads the old name as well, and says so in the list of changes.
"""

from __future__ import annotations

import ast
import enum
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lostromos_core import hookspecs, interfaces
from lostromos_core.cli import app
from lostromos_core.kube import labels
from lostromos_core.kube.reporting import status

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("lostromos_core", "lostromos_kubectl", "lostromos_helm")
_KEY: Final = re.compile(r"(?:lostromos\.dev|applyset\.kubernetes\.io)/[a-z-]+")
KEYS: Final = {
    "applyset.kubernetes.io/additional-namespaces", "applyset.kubernetes.io/contains-group-kinds",
    "applyset.kubernetes.io/id", "applyset.kubernetes.io/part-of", "applyset.kubernetes.io/tooling",
    "lostromos.dev/adopt", "lostromos.dev/allow-prune", "lostromos.dev/applied-fields", "lostromos.dev/chart",
    "lostromos.dev/cleanup", "lostromos.dev/conflicts", "lostromos.dev/controller", "lostromos.dev/create-only",
    "lostromos.dev/desired", "lostromos.dev/holder", "lostromos.dev/input", "lostromos.dev/on-delete",
    "lostromos.dev/operator", "lostromos.dev/owner", "lostromos.dev/pause", "lostromos.dev/ran",
    "lostromos.dev/reconcile", "lostromos.dev/recreate", "lostromos.dev/resource", "lostromos.dev/resource-kind",
    "lostromos.dev/resource-namespace", "lostromos.dev/revision", "lostromos.dev/seal", "lostromos.dev/unit",
    "lostromos.dev/wave",
}  # fmt: skip
"""Labels, annotations and the finalizer."""
REASONS: Final = {
    "Applied", "ApplyFailed", "Cycle", "Deleting", "Interrupted", "Paused", "Refused", "Released", "RenderFailed",
    "Unreadable", "Waiting",
}  # fmt: skip
"""Reasons of the condition Ready, and of Events, that stand in the code as words."""
HOOKS: Final = {
    "lostromos_appliers": [],
    "lostromos_reconciled": ["controller", "key", "report", "seconds"],
    "lostromos_renderers": [],
    "lostromos_review": ["controller", "resource", "rendered"],
    "lostromos_template_filters": [],
    "lostromos_template_functions": [],
    "lostromos_template_tests": [],
    "lostromos_unreadable": ["controller", "key", "reason"],
    "lostromos_watchers": [],
}


def words() -> Iterator[str]:
    """All strings in the three packages, but for docstrings."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text())
            spoken = {
                id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            }  # fmt: skip
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in spoken:
                    yield node.value


def test_labels_and_annotations() -> None:
    assert {word for word in words() if _KEY.fullmatch(word)} == KEYS


def test_field_managers() -> None:
    assert (labels.MANAGER, labels.MARKING, labels.LEFT) == ("lostromos/", "/marks", "/left")


def test_reasons() -> None:
    assert set(words()) >= REASONS


def test_status_fields() -> None:
    assert {"observedGeneration", "conditions", "resources"} == status.OWN
    assert issubclass(interfaces.Action, enum.Enum)
    assert {action.value for action in interfaces.Action} == {
        "created", "updated", "unchanged", "waiting", "failed", "deleted", "pruned", "drifted",
    }  # fmt: skip


def test_exit_codes() -> None:
    assert (app.FAILURE, app.CONFIGURATION) == (1, 3)
    assert "0 success, 1 failure at run time, 2 wrong usage, 3 a configuration" in str(app.commands.help)


def test_hooks_and_their_arguments() -> None:
    found = {
        name: list(inspect.signature(function).parameters)
        for name, function in vars(hookspecs).items()
        if name.startswith("lostromos_")
    }
    assert found == HOOKS
