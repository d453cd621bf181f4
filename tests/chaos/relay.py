"""The proxy's listener and its open connections, inside an event loop."""

import asyncio
import socket
from typing import Final, final

from tests.chaos import connection, moments

BACKLOG: Final = 512


@final
class Relay:
    """Accepts connections until it is cancelled."""

    def __init__(self, route: connection.Route) -> None:
        self.errors: list[Exception] = []
        """What callbacks and predicates raised, and what the proxy could not handle."""
        self._route = route
        self._open: dict[asyncio.Task[None], connection.Connection] = {}

    async def run(self, listener: socket.socket) -> None:
        """Serve what connects to a listening socket; close it in the end, and all connections."""
        with listener:
            listener.settimeout(0)
            try:
                await self._accept(listener)
            finally:
                self.close_all(moments.Ending.RESET)
                while self._open:
                    await asyncio.wait(self._open)

    def close_all(self, ending: moments.Ending) -> None:
        """Close or reset all connections; what becomes of those that are just beginning is the same."""
        for task, opened in self._open.items():
            opened.end(ending)
            if not opened.closing:
                task.cancel()

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            accepted, _ = await asyncio.get_running_loop().sock_accept(listener)
            # asyncio does this for sockets it has made itself; without, a response in two parts takes 40 ms.
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._serve(accepted)

    def _serve(self, accepted: socket.socket) -> None:
        opened = connection.Connection(self._route, accepted=accepted)
        task = asyncio.create_task(opened.serve())
        self._open[task] = opened
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._open[task]
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self.errors.append(error)
