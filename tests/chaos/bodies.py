"""The bodies of HTTP/1.1 messages, in pieces as they arrive: each way to mark the end is a class."""

import asyncio
from typing import Final, Protocol, final

from tests.chaos import messages

PIECE: Final = 65_536
CRLF: Final = b"\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"


class Body(Protocol):
    """A body that is being received."""

    async def piece(self) -> bytes:
        """Some of the next bytes as soon as there are any; none at the end of the body.

        Guarantees: if the caller is cancelled, nothing is lost. Raises asyncio.IncompleteReadError if the connection
        ends too early.
        """
        ...


@final
class Fixed:
    """A body of known length; that of a message without a body is 0."""

    def __init__(self, reader: asyncio.StreamReader, *, length: int) -> None:
        self._reader = reader
        self._left = length

    async def piece(self) -> bytes:
        if not self._left:
            return b""
        piece = await _some(self._reader, limit=self._left)
        self._left -= len(piece)
        return piece


@final
class Chunked:
    """A body in chunks, as every watch is. Trailers are dropped: Kubernetes has none."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._left = 0
        self._last = False

    async def piece(self) -> bytes:
        if not self._left and not self._last:
            await self._next_chunk()
        if self._last:
            while await self._reader.readuntil(CRLF) != CRLF:
                pass
            return b""
        piece = await _some(self._reader, limit=self._left)
        self._left -= len(piece)
        return piece

    async def _next_chunk(self) -> None:
        line = CRLF
        # The line end of the chunk before is still there: to read it with its chunk could lose a piece.
        while line == CRLF:
            line = await self._reader.readuntil(CRLF)
        self._left = int(line.partition(b";")[0], 16)
        self._last = not self._left


@final
class UntilClose:
    """A body that ends with its connection."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def piece(self) -> bytes:
        return await self._reader.read(PIECE)


_BODIES: Final[tuple[type[Body], ...]] = (Fixed, Chunked, UntilClose)


def of_request(head: messages.RequestHead, *, reader: asyncio.StreamReader) -> Body:
    """The body that follows the head of a request."""
    return Chunked(reader) if head.chunked else Fixed(reader, length=head.length or 0)


def of_response(head: messages.ResponseHead, *, method: str, reader: asyncio.StreamReader) -> Body:
    """The body that follows the head of a response to a request with this method."""
    if method == "HEAD" or head.status in messages.NO_BODY:
        return Fixed(reader, length=0)
    if head.chunked:
        return Chunked(reader)
    return UntilClose(reader) if head.length is None else Fixed(reader, length=head.length)


async def whole(body: Body) -> bytes:
    """All of a body."""
    pieces = []
    while piece := await body.piece():
        pieces.append(piece)
    return b"".join(pieces)


def framed(body: bytes, *, head: messages.Head) -> bytes:
    """All of a body as it follows this head."""
    if not head.chunked:
        return body
    return (as_chunk(body, announced=len(body)) if body else b"") + LAST_CHUNK


def as_chunk(piece: bytes, *, announced: int) -> bytes:
    """A chunk whose size line announces so many bytes; without its end if the piece is shorter."""
    end = CRLF if len(piece) == announced else b""
    return b"%x\r\n%b%b" % (announced, piece, end)


async def _some(reader: asyncio.StreamReader, *, limit: int) -> bytes:
    piece = await reader.read(min(limit, PIECE))
    if not piece:
        raise asyncio.IncompleteReadError(b"", limit)
    return piece
