"""A new version of a chart rolls over many releases; one cannot follow, and it alone says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import operators
from tests.controlplane import waiting

if TYPE_CHECKING:
    from tests.helm.conftest import World

COUNT = 50


@pytest.mark.timeout(600)
def test_one_release_that_cannot_be_upgraded_stops_no_other(world: World) -> None:
    with world.operator():
        for number in range(COUNT):
            world.create(f"web{number}", text="bad" if number == 7 else "good")

        def ready() -> int:
            return sum(operators.is_ready(item) for item in world.api.list(world.crd.path(world.namespace)))

        waiting.wait_until(lambda: ready() == COUNT, timeout=120)
        about, template = world.chart / "Chart.yaml", world.chart / "templates" / "config.yaml"
        template.write_text(
            '{{- if eq .Values.text "bad" }}{{ fail "bad values are no longer taken" }}{{ end }}\n'
            + template.read_text()
        )
        about.write_text(about.read_text().replace("1.0.0", "2.0.0"))

        def upgraded() -> int:
            items = world.api.list(world.crd.path(world.namespace))
            return sum(
                operators.is_ready(item) and item["status"]["release"].get("version") == "2.0.0" for item in items
            )

        waiting.wait_until(lambda: upgraded() == COUNT - 1, timeout=180)
        waiting.wait_until(lambda: "bad values are no longer taken" in world.message("web7"))
        assert "app/templates/config.yaml:1" in world.message("web7")
        assert "revision 1 is still in use" in world.message("web7")
        assert operators.condition(world.resource("web7"), "Stalled")["status"] == "True"
        assert world.data("app-web7") == {"text": "bad"}
        assert ready() == COUNT - 1
