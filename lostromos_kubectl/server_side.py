"""Implement the applier ``server-side``: native server-side apply, one request per object, no process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Unpack, final

from lostromos_core import errors, interfaces
from lostromos_core.kube import labels
from lostromos_core.kube.managed_fields import applying
from lostromos_core.kube.transport import operations
from lostromos_kubectl import settings
from lostromos_kubectl.writing import sending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lostromos_core.kube import cluster
    from lostromos_kubectl import applyset


@final
class ServerSideApplier:
    """Apply manifests with server-side apply.

    For the options, see ``settings.ServerSideOptions``; raises ConfigError if one is not valid.

    Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/.
    """

    accepts = interfaces.Manifests
    can_dry_run = True

    def __init__(self, **options: Unpack[settings.Keywords]) -> None:
        self._options = settings.ServerSideOptions.from_keywords(options)
        self._sets: applyset.ApplySets

    async def start(self, runtime: interfaces.Runtime) -> None:
        """Connect to the cluster; raises ConfigError."""
        kube: cluster.Cluster = runtime.kube
        await kube.connect()
        self._sets = self._options.sets(runtime, Sender(kube, runtime.controller))

    async def apply(self, owner: interfaces.Resource, rendered: interfaces.Rendered) -> interfaces.Applied:
        """Apply all objects of a rendering."""
        assert isinstance(rendered, interfaces.Manifests)  # noqa: S101 - checked when the controller was created
        return await self._sets.apply(owner, rendered)

    async def delete(self, key: str, owner: interfaces.Resource | None) -> interfaces.Applied:
        """Delete what was applied for an owner."""
        return await self._sets.delete(key, owner)


@final
class Sender:
    """Send one PATCH per object, several concurrently."""

    def __init__(self, kube: cluster.Cluster, controller: str) -> None:
        self._kube = kube
        self._accepted = sending.accepted(kube)
        self._query = {
            force: operations.apply_query(f"{labels.MANAGER}{controller}", force=force) for force in (False, True)
        }

    async def send(self, writes: Sequence[sending.Write]) -> Sequence[sending.Answer]:
        """Apply all writes; see ``sending.Sender``."""
        if len(writes) == 1:
            return [await self._send(writes[0])]
        return await asyncio.gather(*(self._send(write) for write in writes))

    async def _send(self, write: sending.Write) -> sending.Answer:
        try:
            answer = await applying.apply(
                self._kube,
                write.desired.path,
                action=f"apply {write.desired.ref}",
                query=self._query[write.force],
                body=write.body,
                accept=self._accepted,
            )
        except errors.LostromosError as error:
            return error
        return sending.sent(answer)
