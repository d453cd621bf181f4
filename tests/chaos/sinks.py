"""Where the body of a response goes, piece by piece: to the client, or first to something that changes it."""

import asyncio
import dataclasses
from typing import Final, NoReturn, Protocol, final

from tests.chaos import bodies, messages, moments, peers, records


class Sink(Protocol):
    """Takes a response's body."""

    async def write(self, piece: bytes) -> None:
        """Take the next bytes, at least one."""
        ...

    async def rest(self) -> None:
        """The API server has nothing more to say at this moment."""
        ...

    async def end(self) -> None:
        """The body is complete."""
        ...


@final
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The place in a body, in bytes, where the exchange ends early, and how."""

    after: int
    ending: moments.Ending


@final
class Delivery:
    """Sends a response to the client, while traffic flows."""

    def __init__(self, client: peers.Peer, *, flowing: asyncio.Event, ticket: records.Ticket) -> None:
        self.stop: Stop | None = None
        self.head: messages.ResponseHead | None = None
        self._client = client
        self._flowing = flowing
        self._ticket = ticket

    async def start(self) -> None:
        """Send the head."""
        if self.head:
            await self.answer(self.head.status, raw=self.head.raw)
        if self.stop and not self.stop.after:
            await self._break_off(self.stop.ending)

    async def answer(self, status: int, *, raw: bytes) -> None:
        """Send a whole response, or what begins one."""
        await self._ready()
        # The log comes first: who has seen a byte finds it in the log.
        self._ticket.status = status
        self._ticket.sent = len(raw.partition(messages.END)[2])
        await self._client.send(raw)

    async def write(self, piece: bytes) -> None:
        if self.stop and self._ticket.sent + len(piece) >= self.stop.after:
            await self._write_until(self.stop, piece=piece)
        await self._write(piece, announced=len(piece))

    async def rest(self) -> None:
        pass

    async def end(self) -> None:
        if self.head and self.head.chunked:
            await self._ready()
            await self._client.send(bodies.LAST_CHUNK)

    async def _write_until(self, stop: Stop, *, piece: bytes) -> NoReturn:
        passed = piece[: stop.after - self._ticket.sent]
        whole = stop.ending is moments.Ending.FINISHED
        await self._write(passed, announced=len(passed) if whole else len(piece))
        await self._break_off(stop.ending)

    async def _break_off(self, ending: moments.Ending) -> NoReturn:
        if ending is moments.Ending.FINISHED:
            await self.end()
        raise moments.InterruptedExchange(ending)

    async def _write(self, piece: bytes, *, announced: int) -> None:
        chunked = self.head and self.head.chunked
        await self._ready()
        self._ticket.sent += len(piece)
        await self._client.send(bodies.as_chunk(piece, announced=announced) if chunked else piece)

    async def _ready(self) -> None:
        await self._flowing.wait()
        self._client.check()


@final
class Throttled:
    """Passes bytes on no faster than a rate, in bytes a second."""

    def __init__(self, sink: Sink, *, rate: int) -> None:
        self._sink = sink
        self._rate = rate
        # Some twenty steps a second look like a thin line, not like a stutter.
        self._step = max(1, rate // 20)

    async def write(self, piece: bytes) -> None:
        for start in range(0, len(piece), self._step):
            part = piece[start : start + self._step]
            await self._sink.write(part)
            await asyncio.sleep(len(part) / self._rate)

    async def rest(self) -> None:
        await self._sink.rest()

    async def end(self) -> None:
        await self._sink.end()


_SINKS: Final[tuple[type[Sink], ...]] = (Delivery, Throttled)
