"""What the page about the Go helm operator shows: its watches.yaml and ours mean the same, and releases are taken over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tests.controlplane import waiting

if TYPE_CHECKING:
    from tests.helm.conftest import World

FOLDER = Path(__file__).with_name("migration")


def test_the_configurations_say_the_same() -> None:
    (before,) = yaml.safe_load((FOLDER / "watches.yaml").read_text())
    after = yaml.safe_load((FOLDER / "lostromos.yaml").read_text())
    (controller,) = after["controllers"]
    watch, helm = controller["watch"]["kubernetes"], controller["apply"]["helm"]
    assert {key: watch[key] for key in ("group", "version", "kind")} == {
        key: before[key] for key in ("group", "version", "kind")
    }
    assert watch["labels"] == ",".join(f"{key}={value}" for key, value in before["selector"]["matchLabels"].items())
    assert helm["chart"] == before["chart"]
    assert f"{controller['resync'] // 60}m" == before["reconcilePeriod"]
    overrides = controller["render"]["values"]["overrides"]
    assert overrides == {"image": {"registry": "${REGISTRY}"}, "debug": before["overrideValues"]["debug"]}
    assert after["environment"] == [before["overrideValues"]["image.registry"].removeprefix("$")]


def test_a_release_of_the_go_operator_is_taken_over(world: World) -> None:
    """It names releases after resources, gives the chart the spec, and holds resources with a finalizer of its own."""
    theirs = "helm.sdk.operatorframework.io/uninstall-release"
    world.project()
    world.by_hand("install", "web", str(world.chart), "--set-string=text=one")
    manifest = world.crd.manifest("web", spec={"text": "one"}, finalizers=[theirs])
    world.api.create(world.crd.path(world.namespace), manifest)
    with world.operator(prefix="", adopt=True):
        waiting.wait_until(lambda: world.is_ready("web"), timeout=30)
        assert world.revisions("web") == [(1, "superseded"), (2, "deployed")]
        assert set(world.resource("web")["metadata"]["finalizers"]) == {theirs, "lostromos.dev/cleanup"}
    world.api.patch(world.path("web"), [{"op": "remove", "path": "/metadata/finalizers/0"}], patch_type="json")
    with world.operator(prefix=""):
        world.update("web", text="two")
        waiting.wait_until(lambda: world.data("web") == {"text": "two"}, timeout=30)
        world.api.delete(world.path("web"))
        waiting.wait_until(lambda: not world.api.exists(world.path("web")), timeout=30)
        assert world.data("web") is None
