"""One connection of a client, tied to one of its own to the API server: they live and die together.

So what a client can learn from its connection, it learns through the proxy: that the server has closed an idle one, or
that it cannot be reached (then the client is reset before TLS begins).
"""

import asyncio
import dataclasses
import socket
import ssl
from typing import Final, final

from tests.chaos import bodies, exchange, messages, moments, peers, records, rules

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


@final
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What all connections share: both ends, the rules, the trace, and the event that is set while traffic flows."""

    host: str
    port: int
    server_tls: ssl.SSLContext
    client_tls: ssl.SSLContext
    book: rules.Book
    trace: records.Trace
    flowing: asyncio.Event


@final
class Connection:
    """Relays one exchange after the other."""

    def __init__(self, route: Route, *, accepted: socket.socket) -> None:
        self.closing = False
        """Whether it is over but for the wait until both sides are closed."""
        self._route = route
        self._accepted: socket.socket | None = accepted
        self._client = peers.Peer(on_end=self._client_ended)
        self._server = peers.Peer(on_end=self._server_ended)
        self._exchange: exchange.Exchange | None = None

    async def serve(self) -> None:
        """Relay until a side closes. What breaks at one side the other sees as a reset, and what ends as an end."""
        try:
            await self._open()
            while await self._relay() and not self._server.gone.is_set():
                pass
        except asyncio.IncompleteReadError:
            pass
        except OSError:
            self.end(moments.Ending.RESET)
        except Exception:
            self.end(moments.Ending.RESET)
            raise
        finally:
            self.closing = True
            self.end(moments.Ending.EOF)
            await self._client.closed()
            await self._server.closed()

    def end(self, ending: moments.Ending) -> None:
        """Close both sides, or reset them."""
        if self._accepted:
            peers.reset(self._accepted)
            self._accepted = None
        for peer in (self._client, self._server):
            if ending is moments.Ending.RESET:
                peer.reset()
            else:
                peer.close()

    async def _open(self) -> None:
        route = self._route
        await route.flowing.wait()
        await self._server.connect(route.host, port=route.port, context=route.server_tls)
        if self._accepted:
            # From here on the socket is the transport's to close.
            accepted, self._accepted = self._accepted, None
            await self._client.accept(accepted, context=route.client_tls)

    async def _relay(self) -> bool:
        head = await messages.read_request(self._client.reader)
        if "expect" in head.headers:
            await self._client.send(CONTINUE)
        body = await bodies.whole(bodies.of_request(head, reader=self._client.reader))
        await self._route.flowing.wait()
        ticket = self._route.trace.open(head, body=body)
        self._exchange = exchange.Exchange(
            ticket, client=self._client, server=self._server, flowing=self._route.flowing
        )
        kept = await self._exchange.run(head, body=body, book=self._route.book)
        self._exchange = None
        return kept

    def _client_ended(self) -> None:
        # A request that is held before forwarding reaches the API server, like a packet of a host that has died since.
        if self._exchange is None or self._exchange.forwarded:
            self._server.close()

    def _server_ended(self) -> None:
        # During an exchange there may be bytes left to deliver.
        if self._exchange is None:
            self._client.close()
