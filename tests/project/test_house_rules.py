"""The example of a plug-in: it loads as an installed one would, and does what its README says."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import interfaces, plugins
from lostromos_core.templates import renderer
from tests import fakes

if TYPE_CHECKING:
    from types import ModuleType

FILE = Path(__file__).parents[2] / "examples" / "house-rules" / "house_rules.py"


@pytest.fixture
def rules() -> ModuleType:
    spec = importlib.util.spec_from_file_location("house_rules", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("image", "loose"),
    [("a", True), ("a:latest", True), ("a:1", False), ("r:5000/a", True), ("r:5000/a:1", False), ("a@sha256:1", False)],
)
def test_the_policy_refuses_images_without_a_version(image: str, loose: bool, rules: ModuleType) -> None:
    registry = plugins.load([("house-rules", rules)])
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a"},
        "spec": {"containers": [{"image": image}]},
    }
    found = registry.review("app", fakes.resource("web"), fakes.manifests(interfaces.Manifest(pod)))
    assert found == ([f"web: images need a fixed version: {image}"] if loose else [])
    assert registry.review("app", fakes.resource("web"), interfaces.Values({"image": "a"})) == []


def test_the_filter_is_there_in_templates(rules: ModuleType, tmp_path: Path) -> None:
    registry = plugins.load([("house-rules", rules)])
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ resource.spec.title | slug }}\n"
    (tmp_path / "a.yaml").write_text(text)
    made = renderer.JinjaRenderer(tmp_path)
    made.load(filters=registry.filters)
    (found,) = made.render(fakes.resource("web", title="Spring Sale, 2030!"), interfaces.Context()).objects
    assert found.ref.name == "spring-sale-2030"


def test_failures_are_said(rules: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    registry = plugins.load([("house-rules", rules)])
    with caplog.at_level(logging.WARNING):
        registry.tell_reconciled("app", "ns/good", interfaces.Report(ready=True, reason="Applied", message=""), 0.1)
        registry.tell_reconciled(
            "app", "ns/bad", interfaces.Report(ready=False, reason="RenderFailed", message=""), 0.1
        )
        registry.tell_unreadable("app", "ns/ugly", "too deep")
    assert [record.getMessage() for record in caplog.records] == ["app ns/bad: RenderFailed", "app ns/ugly: too deep"]
