"""The operator is killed (kill -9) at each of the requests of an operation: it always ends in the same state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helm import killing

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helm.conftest import World


@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", ["install", "upgrade"])
def test_a_kill_at_any_request_changes_nothing_in_the_end(world: World, tmp_path: Path, how: str) -> None:
    killing.kill_at_each_request(world, tmp_path / "chaos", "operator", how)
