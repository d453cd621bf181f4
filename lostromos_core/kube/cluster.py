"""One cluster, as one Operator knows it: a client of its API, and what has been learnt about it.

Several Operators may share a Client. Each has a Cluster of its own, and all that it watches and remembers ends with it.
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
    """A Client with caches on top. ``async with`` connects, and ends what was begun; it closes the Client, too.

    ``request``, ``request_bytes`` and ``stream`` are those of the Client, so that a Cluster can be given wherever
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
        """End what runs in the background, and close all connections."""
        await self.close()
        await self.client.close()

    async def connect(self) -> None:
        """Connect, unless the Client has connected; raises ConfigError."""
        await self.client.connect()

    async def close(self) -> None:
        """End what runs in the background. The Client stays open."""
        await self._background.close()

    def background(self, run: Callable[[], Coroutine[Any, Any, None]], *, name: str) -> None:
        """Run something until the Cluster is closed, or until it ends; when it raises, it is called again."""
        self._background.start(run, name=name)

    def shared(self, make: Callable[[Cluster], T]) -> T:
        """Return the one object that ``make`` makes for this cluster; it is made when it is asked for first.

        What several controllers need to know is kept so: ``cluster.shared(children.Children)``.
        """
        if make not in self._shared:
            self._shared[make] = make(self)
        return cast("T", self._shared[make])
