"""Releases outlive the version of Helm that made them: the operator gets another Helm, and goes on."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tests.controlplane import binaries, waiting

if TYPE_CHECKING:
    from tests.helm.conftest import World


def test_a_release_goes_on_with_the_other_major_version_of_helm(world: World) -> None:
    with world.operator():
        world.create("web", text="one", extra=["a"])
        waiting.wait_until(lambda: world.is_ready("web"), timeout=30)
    (world.folder / "helm").unlink()
    other = "helm-3" if world.helm == binaries.helm("helm-4") else "helm-4"
    changed = dataclasses.replace(world, helm=binaries.helm(other))
    with changed.operator():
        waiting.wait_until(lambda: changed.revisions("app-web") == [(1, "superseded"), (2, "deployed")], timeout=30)
        changed.update("web", text="two", extra=[])
        waiting.wait_until(lambda: changed.data("app-web") == {"text": "two"}, timeout=30)
        waiting.wait_until(lambda: changed.data("app-web-a") is None and changed.is_ready("web"), timeout=30)
        changed.api.patch(changed.map_path("app-web"), {"data": {"text": "theirs"}})
        waiting.wait_until(lambda: changed.data("app-web") == {"text": "two"}, timeout=30)
        changed.api.delete(changed.path("web"))
        waiting.wait_until(lambda: changed.data("app-web") is None, timeout=30)
