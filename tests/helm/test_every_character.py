"""Every character that a value can hold arrives in what a chart makes of it, with both Helms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.controlplane import waiting

if TYPE_CHECKING:
    from tests.helm.conftest import World

ODD = [*range(0x20), *range(0x7F, 0xA1), 0xAD, 0x2028, 0x2029, 0xFEFF, 0xFFFD, 0xFFFE, 0xFFFF, 0x1FFFE, 0x10FFFF]
MAP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-odd}
data:
  {{- range $key, $value := .Values.odd }}
  {{ $key | quote }}: {{ $value | quote }}
  {{- end }}
"""


def test_each_odd_character_arrives(world: World) -> None:
    made = world.project()
    (world.chart / "templates" / "odd.yaml").write_text(MAP)
    (world.chart / "values.schema.json").unlink()  # Helm 3 writes values as YAML to check them
    odd = {f"k{code:x}": f"a{chr(code)}b {chr(code)}" for code in ODD}
    world.create("web", text="one", odd=odd)
    with world.operator():
        waiting.wait_until(lambda: world.is_ready("web") or "failed" in world.message("web"), timeout=60)
        assert world.is_ready("web"), world.message("web")
    assert made.config.exists()
    assert world.data("app-web-odd") == odd
