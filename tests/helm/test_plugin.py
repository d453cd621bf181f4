"""The options in ``lostromos.yaml``: paths are relative to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lostromos_helm import settings
from tests.controlplane import waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helm.conftest import World

RELATIVE = {"binary": "./bin/helm", "cache": "kept", "registryConfig": "docker.json", "caFile": "../ca.pem"}


@pytest.mark.parametrize("model", [settings.HelmOptions, settings.HelmTemplateOptions])
def test_paths_are_relative_to_the_configuration(model: type[settings.AccessOptions], tmp_path: Path) -> None:
    found = model.model_validate({"chart": "app", **RELATIVE}, context={"base": tmp_path})
    access = found.access
    assert (found.binary, found.cache) == (f"{tmp_path}/bin/helm", f"{tmp_path}/kept")
    assert (access.registry_config, access.ca_file) == (f"{tmp_path}/docker.json", f"{tmp_path}/../ca.pem")
    named = model.model_validate({"chart": "app", "binary": "helm3"}, context={"base": tmp_path})
    assert (named.binary, named.cache, named.access.ca_file) == ("helm3", "", "")


def test_a_path_beside_the_configuration_is_a_path_wherever_the_operator_starts(world: World) -> None:
    with world.operator(binary="./helm", cache="kept"):
        world.create("web", text="one")
        waiting.wait_until(lambda: world.is_ready("web"), timeout=30)
    assert (world.folder / "kept" / "charts").is_dir()
