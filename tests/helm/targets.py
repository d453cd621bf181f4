"""Where Helm applies to in tests: a chart that makes whatever objects its values list, so that one contract fits all."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lostromos_helm
from lostromos_core import interfaces
from lostromos_core.kube import cluster as clusters
from lostromos_core.kube.transport import client
from tests.contract import test_appliers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

CHARTS = Path(__file__).with_name("charts")


class Adapter:
    """Takes manifests, and gives them to the applier as the values of the chart that lists objects."""

    accepts = interfaces.Manifests

    def __init__(self, applier: lostromos_helm.HelmApplier) -> None:
        self.inner = applier

    async def apply(self, owner: interfaces.Resource, rendered: interfaces.Manifests) -> interfaces.Applied:
        return await self.inner.apply(owner, interfaces.Values({"objects": [one.data for one in rendered.objects]}))

    async def delete(self, key: str, owner: interfaces.Resource | None) -> interfaces.Applied:
        return await self.inner.delete(key, owner)


class HelmTarget(test_appliers.ClusterTarget):
    """A cluster, through releases."""

    whole = True

    def __init__(self, binary: Path, *where: Any) -> None:
        super().__init__("helm", *where)
        self.binary = binary

    @contextlib.asynccontextmanager
    async def applier(  # type: ignore[override]
        self, *, dry_run: bool = False, enqueue: Callable[[str], None] = lambda _: None, **options: Any
    ) -> AsyncIterator[Adapter]:
        options = {"binary": str(self.binary), "chart": str(CHARTS / "objects"), **options}
        made = lostromos_helm.HelmApplier(**options)
        async with clusters.Cluster(client.Client(str(self.plane.kubeconfig), dry_run=dry_run)) as kube:
            await made.start(interfaces.Runtime("contract", kube, enqueue))
            yield Adapter(made)
