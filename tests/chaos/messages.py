"""The heads of HTTP/1.1 messages: read as they came, understood as far as a proxy must."""

import asyncio
import dataclasses
from collections.abc import Mapping
from typing import Final, final

END: Final = b"\r\n\r\n"
NO_BODY: Final = frozenset({204, 304})
SWITCHING_PROTOCOLS: Final = 101


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What both kinds of messages have."""

    raw: bytes
    headers: Mapping[str, str]

    @property
    def chunked(self) -> bool:
        return "chunked" in self.headers.get("transfer-encoding", "").lower()

    @property
    def length(self) -> int | None:
        """What Content-Length says, in bytes."""
        value = self.headers.get("content-length")
        return None if value is None else int(value)


@final
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead(Head):
    """Method and target (path and query), as sent."""

    method: str
    target: str


@final
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead(Head):
    """The status code."""

    status: int

    @property
    def interim(self) -> bool:
        """Whether another head follows, as after "100 Continue"."""
        return self.status < 200 and self.status != SWITCHING_PROTOCOLS


async def read_request(reader: asyncio.StreamReader) -> RequestHead:
    """The next request. Raises asyncio.IncompleteReadError if the connection ends before."""
    raw = await reader.readuntil(END)
    start, headers = _split(raw)
    method, target, _ = start.split(" ", 2)
    return RequestHead(raw=raw, headers=headers, method=method, target=target)


async def read_response(reader: asyncio.StreamReader) -> ResponseHead:
    """The next response. Raises asyncio.IncompleteReadError if the connection ends before."""
    raw = await reader.readuntil(END)
    start, headers = _split(raw)
    return ResponseHead(raw=raw, headers=headers, status=int(start.split(" ", 2)[1]))


def _split(raw: bytes) -> tuple[str, Mapping[str, str]]:
    start, *lines = raw[: -len(END)].decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return start, headers
