"""What stands in the way on the cluster may go away: the release is then made without anybody's doing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.controlplane import waiting

if TYPE_CHECKING:
    from tests.helm.conftest import World

LOOKUP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-lookup}
data:
  password: {{ (lookup "v1" "Secret" .Release.Namespace "db").data.password | quote }}
"""


def ready(world: World) -> None:
    waiting.wait_until(lambda: world.is_ready("web"), timeout=40)


def test_a_foreign_object_that_goes_makes_way(world: World) -> None:
    world.api.create(f"/api/v1/namespaces/{world.namespace}/configmaps", {"metadata": {"name": "app-web"}})
    with world.operator():
        world.create("web", text="one")
        waiting.wait_until(lambda: "does not belong to the release" in world.message("web"), timeout=30)
        world.api.delete(world.map_path("app-web"))
        ready(world)


def test_a_foreign_release_that_goes_makes_way(world: World) -> None:
    world.project()
    world.by_hand("install", "app-web", str(world.chart))
    with world.operator():
        world.create("web", text="one")
        waiting.wait_until(lambda: "was not made by Lostr" in world.message("web"), timeout=30)
        world.by_hand("uninstall", "app-web")
        ready(world)


def test_what_a_chart_looks_up_may_come_later(world: World) -> None:
    operator = world.operator()
    (world.chart / "templates" / "lookup.yaml").write_text(LOOKUP)
    with operator:
        world.create("web", text="one")
        waiting.wait_until(lambda: "templates/lookup.yaml" in world.message("web"), timeout=30)
        body = {"metadata": {"name": "db"}, "stringData": {"password": "text"}}
        world.api.create(f"/api/v1/namespaces/{world.namespace}/secrets", body)
        ready(world)


def test_values_against_the_schema_are_not_tried_again(world: World) -> None:
    with world.operator() as operator:
        world.create("web", text="one", count="many")
        waiting.wait_until(lambda: "must be of type integer" in world.message("web"), timeout=30)
        said = operator.log.count("must be of type integer")
        time.sleep(7)
        assert operator.log.count("must be of type integer") == said
