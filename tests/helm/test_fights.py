"""Somebody who changes or deletes an object of a release again and again: the advice fits what he does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.controlplane import errors, waiting

if TYPE_CHECKING:
    from tests.helm.conftest import World


def test_the_advice_fits_what_somebody_does(world: World) -> None:
    with world.operator():
        for name in ("changed", "deleted"):
            world.create(name, text="ours")
        waiting.wait_until(lambda: world.is_ready("changed") and world.is_ready("deleted"))

        def fight() -> bool:
            try:
                if world.data("app-deleted") is not None:
                    world.api.delete(world.map_path("app-deleted"))
                if world.data("app-changed") == {"text": "ours"}:
                    world.api.patch(world.map_path("app-changed"), {"data": {"text": "theirs"}})
            except errors.ApiError as error:
                if error.status not in {404, 409}:
                    raise
            return all("keeps changing it" in world.message(name) for name in ("changed", "deleted"))

        waiting.wait_until(fight, interval=0.2)
        assert "`ignore` it" in world.message("changed")
        assert "Find out who deletes it" in world.message("deleted")
