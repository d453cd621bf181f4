"""One end of a connection that the proxy relays: the client's or the API server's."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Final, Self, final

HEAD_LIMIT: Final = 262_144
SHUTDOWN: Final = 1.0
"""Seconds that a peer has to answer our TLS close_notify before we close without it."""

LINGER_0: Final = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
"""The socket option with which the kernel closes by RST."""


@final
class _Reader(asyncio.StreamReader):
    """A reader that says at once that its connection has ended, even while nobody reads."""

    def __init__(self, *, on_end: Callable[[], None]) -> None:
        super().__init__(limit=HEAD_LIMIT)
        self._on_end = on_end

    def feed_eof(self) -> None:
        super().feed_eof()
        self._on_end()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self._on_end()


@final
class Peer:
    """A TLS connection to a peer; `gone` is set when the peer has left, or we have closed."""

    def __init__(self, *, on_end: Callable[[], None]) -> None:
        self.gone = asyncio.Event()
        self.reader: asyncio.StreamReader = _Reader(on_end=self._ended)
        self._on_end = on_end
        self._protocol = asyncio.StreamReaderProtocol(self.reader)
        self._writer: asyncio.StreamWriter | None = None

    async def accept(self, accepted: socket.socket, *, context: ssl.SSLContext) -> Self:
        """Take a client's new connection. Raises OSError if the client and we do not agree on TLS."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_accepted_socket(
            lambda: self._protocol, accepted, ssl=context, ssl_shutdown_timeout=SHUTDOWN
        )
        return self._on(transport)

    async def connect(self, host: str, *, port: int, context: ssl.SSLContext) -> Self:
        """Connect to a server. Raises OSError if it cannot be reached or trusted."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(
            lambda: self._protocol, host, port, ssl=context, ssl_shutdown_timeout=SHUTDOWN
        )
        return self._on(transport)

    def check(self) -> None:
        """Raise ConnectionResetError if the peer has gone."""
        if self.gone.is_set():
            raise ConnectionResetError("the peer has gone")

    async def send(self, data: bytes) -> None:
        """Send, as fast as the peer takes it. Raises ConnectionError if the peer has gone."""
        self.check()
        if self._writer:
            self._writer.write(data)
            await self._writer.drain()

    def reset(self) -> None:
        """End the connection by RST, now; one that is being closed already goes on with that."""
        if self._writer and not self._writer.is_closing():
            # A transport that has lost its connection has no socket any more.
            if connected := self._writer.get_extra_info("socket"):
                connected.setsockopt(*LINGER_0)
            self._writer.transport.abort()

    def close(self) -> None:
        """End the connection in order, after what has been sent."""
        if self._writer:
            self._writer.close()

    async def closed(self) -> None:
        """Wait until the connection is closed; its errors no longer matter."""
        if self._writer:
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    def _on(self, transport: asyncio.Transport) -> Self:
        self._writer = asyncio.StreamWriter(transport, self._protocol, self.reader, asyncio.get_running_loop())
        return self

    def _ended(self) -> None:
        self.gone.set()
        self._on_end()


def reset(accepted: socket.socket) -> None:
    """End a connection that is nobody's yet by RST."""
    accepted.setsockopt(*LINGER_0)
    accepted.close()
