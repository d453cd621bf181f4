"""The operator's variables reach no status and no log, whoever repeats them: Helm, the API server, the chart's notes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.controlplane import waiting

if TYPE_CHECKING:
    from tests.helm.conftest import World

SECRET = "hunter2-s3cret"
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}-service}
spec: {type: {{ .Values.type | quote }}, ports: [{port: 80}]}
"""


def test_variables_are_told_to_nobody(world: World) -> None:
    (world.folder / "values").mkdir()
    (world.folder / "values" / "values.yaml").write_text(
        'text: one\nsecret: "{{ vars.password }}"\ntype: "{{ vars.password if resource.spec.bad else \'ClusterIP\' }}"\n'
    )
    operator = world.operator(render={"values": {"template": "values/values.yaml"}}, top={"vars": {"password": SECRET}})
    (world.chart / "templates" / "service.yaml").write_text(SERVICE)
    (world.chart / "templates" / "NOTES.txt").write_text("{{ .Values.secret }} or {{ .Values.secret | b64enc }}.")
    with operator:
        world.create("web", bad=False)
        waiting.wait_until(lambda: world.is_ready("web"), timeout=30)
        assert world.release("web")["notes"] in {"*** or ***.", "*** or ***=.", "*** or ***==."}
        world.update("web", bad=True)
        waiting.wait_until(lambda: "spec.type" in world.message("web"), timeout=30)
        assert SECRET not in json.dumps(world.resource("web"))
    world.api.patch(f"{world.path('web')}/status", {"status": {"resources": None, "release": None}})
    world.update("web", bad=False)
    with operator:
        waiting.wait_until(lambda: world.is_ready("web"), timeout=30)
        assert SECRET not in json.dumps(world.resource("web"))
    assert SECRET not in operator.log
