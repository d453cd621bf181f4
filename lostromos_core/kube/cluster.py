"""Combine a client of a cluster's API with the caches of one Operator.

Several Operators may share a Client. Each has its own Cluster, and all its watches and caches end with that Cluster.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar, cast, final

from lostromos_core.kube.kinds import discovery, removal
from lostromos_core.kube.transport import background, list_limiter

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from lostromos_core.kube.transport import client as clients

    T = TypeVar("T")


@final
class Cluster:
    """Add caches to a Client. ``async with`` connects, and stops background tasks and closes the Client on exit.

    ``request``, ``request_bytes`` and ``stream`` are those of the Client, so that a Cluster can be passed wherever
    requests are sent.
    """

    def __init__(self, client: clients.Client) -> None:
        self.client = client
        self.dry_run = client.dry_run
        self.request = client.request
        self.request_bytes = client.request_bytes
        self.stream = client.stream
        self.discovery = discovery.Discovery(client, time.monotonic)
        self.removals = removal.Removals(client, self.discovery)
        self.list_limiter = list_limiter.ListLimiter()
        self._shared: dict[Callable[[Cluster], Any], Any] = {}
        self._background = background.Background()

    async def __aenter__(self) -> Cluster:
        """Connect; raises ConfigError."""
        await self.client.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop all background tasks and close all connections."""
        await self.close()
        await self.client.close()

    async def connect(self) -> None:
        """Connect, unless the Client is already connected; raises ConfigError."""
        await self.client.connect()

    async def close(self) -> None:
        """Stop all background tasks. The Client stays open."""
        await self._background.close()

    def background(self, run: Callable[[], Coroutine[Any, Any, None]], *, name: str) -> None:
        """Run a task in the background until it returns or the Cluster is closed; if it raises, start it again."""
        self._background.start(run, name=name)

    def shared(self, make: Callable[[Cluster], T]) -> T:
        """Return the single object that ``make`` creates for this cluster; it is created on first use.

        Use it for state that several controllers share: ``cluster.shared(children.Children)``.
        """
        if make not in self._shared:
            self._shared[make] = make(self)
        return cast("T", self._shared[make])
