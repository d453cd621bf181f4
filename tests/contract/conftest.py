"""Where the real appliers apply to; the contract of all appliers has targets of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract import test_appliers

if TYPE_CHECKING:
    from tests.controlplane import api as apis
    from tests.controlplane import cluster, crds


@pytest.fixture(params=["server-side", "kubectl"])
def target(
    request: pytest.FixtureRequest,
    control_plane: cluster.ControlPlane,
    api: apis.Api,
    crd: crds.CustomKind,
    namespace: str,
) -> test_appliers.ClusterTarget:
    return test_appliers.ClusterTarget(request.param, control_plane, api, crd, namespace)
