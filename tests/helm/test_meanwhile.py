"""What happens to a release's objects while the operator looks at others of them: nothing is missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import operators
from tests.chaos import actions, proxy
from tests.controlplane import waiting

if TYPE_CHECKING:
    from tests.helm.conftest import World

MAPS = """\
{{- range $name := list "a" "m" "z" }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ $.Release.Name }}-{{ $name }}"}
data: {text: fine}
{{- end }}
"""
SLOW = 3.0
"""Seconds that the comparison of one object takes."""


def test_what_happens_while_another_object_is_compared_is_repaired(world: World) -> None:
    made = world.project()
    for path in (world.chart / "templates").iterdir():
        path.unlink()
    (world.chart / "templates" / "maps.yaml").write_text(MAPS)
    plane = world.plane
    with (
        proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=world.folder) as chaos,
        operators.Operator(made, chaos.kubeconfig) as operator,
    ):
        world.create("web")
        waiting.wait_until(lambda: world.is_ready("web"), timeout=60)
        slow = world.map_path("app-web-z")
        with chaos.add(actions.Delay(SLOW), method="GET", path=slow) as rule:
            world.api.patch(slow, {"metadata": {"annotations": {"example.com/note": "no drift"}}})
            waiting.wait_until(lambda: rule.applied > 0, message="the changed object is being compared")
            world.api.delete(world.map_path("app-web-a"))
            world.api.patch(world.map_path("app-web-m"), {"data": {"text": "theirs"}})
        names = [f"app-web-{name}" for name in ("a", "m", "z")]
        waiting.wait_until(lambda: [world.data(name) for name in names] == [{"text": "fine"}] * 3)
        operator.says("an object of a release was repaired", times=2)
