"""What a chart is told of the cluster's kinds, when discovery lists fewer than there are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core.kube import cluster as clusters
from lostromos_core.kube.transport import client
from lostromos_helm.charts import traits
from lostromos_helm.templating import served
from tests.controlplane import crds, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from lostromos_core.kube.kinds import discovery
    from tests.conftest import MakeCrd
    from tests.controlplane import api as apis
    from tests.controlplane import cluster

ASKS = traits.Traits(asks=True)


LISTED: dict[str, Callable[[discovery.Kind, str], bool]] = {
    "kind": lambda kind, _: kind.name != "First",
    "group": lambda kind, group: not kind.api_version.startswith(group),
    "custom kinds": lambda kind, _: "example.com" not in kind.api_version,
    "everything": lambda _kind, _group: False,
    "server": lambda kind, group: not kind.api_version.startswith(group),
}


@pytest.mark.parametrize("lost", LISTED)
async def test_what_is_not_listed_for_a_moment_counts_as_served(
    control_plane: cluster.ControlPlane, api: apis.Api, make_crd: MakeCrd, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    one = make_crd("First")
    two = crds.CustomKind(group=one.group, kind="Second")
    crds.create(api, crds.definition(two))
    async with clusters.Cluster(client.Client(str(control_plane.kubeconfig))) as kube:
        told = served.Served(kube)
        before = await told.flags(ASKS)
        assert f"--api-versions={one.api_version}/First" in before
        assert f"--api-versions={one.api_version}" in before
        real = kube.discovery.everything

        async def partial(*, seconds: float) -> Any:
            kinds, away = await real(seconds=seconds)
            return [kind for kind in kinds if LISTED[lost](kind, one.group)], away | (
                {one.group} if lost == "server" else set()
            )

        monkeypatch.setattr(kube.discovery, "everything", partial)
        assert await told.flags(ASKS) == before
        monkeypatch.undo()
        assert await told.flags(ASKS) == before


async def test_what_was_removed_is_not_served(
    control_plane: cluster.ControlPlane, api: apis.Api, make_crd: MakeCrd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "LOOK", 0.0)
    kind = make_crd("First")
    more = crds.CustomKind(group=f"more.{kind.group}", kind="More")
    crds.create(api, crds.definition(more))
    async with clusters.Cluster(client.Client(str(control_plane.kubeconfig))) as kube:
        told = served.Served(kube)
        assert f"--api-versions={more.api_version}/More" in await told.flags(ASKS)
        api.delete(f"{crds.DEFINITIONS}/{more.definition_name}")
        waiting.wait_until(lambda: not api.exists(f"{crds.DEFINITIONS}/{more.definition_name}"))
        waiting.wait_until(lambda: not api.exists(more.path("default", "x").rpartition("/")[0]))
        async with asyncio.timeout(30):  # the API server takes a moment to list it no more
            while f"--api-versions={more.api_version}" in (flags := await told.flags(ASKS)):
                await asyncio.sleep(0.1)
        assert f"--api-versions={kind.api_version}/First" in flags
