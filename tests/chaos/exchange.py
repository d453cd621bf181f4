"""One request and its response on their way through the proxy, struck by at most one rule."""

import asyncio
import time
from typing import Final, final

from tests.chaos import actions, bodies, messages, moments, peers, records, rules, sinks

REST: Final = 0.1
"""Seconds without a byte of the API server after which lines that are held back are sent on."""

READING: Final = 0.1
"""Seconds that a client has to read what it was sent before a reset: Linux may drop what is unread."""


@final
class Exchange:
    """Carries a request, which has come in whole, to the API server and its response back."""

    def __init__(
        self, ticket: records.Ticket, *, client: peers.Peer, server: peers.Peer, flowing: asyncio.Event
    ) -> None:
        self.forwarded = False
        """Whether the API server knows of the request."""
        self._ticket = ticket
        self._client = client
        self._server = server
        self._flowing = flowing
        self._delivery = sinks.Delivery(client, flowing=flowing, ticket=ticket)
        self._actions: tuple[actions.Action, ...] = ()
        self._scene: actions.Scene | None = None

    async def run(self, head: messages.RequestHead, *, body: bytes, book: rules.Book) -> bool:
        """Whether the connections can carry another request.

        Raises OSError or asyncio.IncompleteReadError if one of them breaks.
        """
        try:
            self._find_rule(book)
            await self._act(moments.Moment.BEFORE)
            response = await self._ask(head, body=body)
            await self._act(moments.Moment.AFTER)
            await self._answer(response, method=head.method)
        except moments.InterruptedExchange as interruption:
            return await self._end(interruption.ending)
        finally:
            self._ticket.ended = time.monotonic()
        return True

    def _find_rule(self, book: rules.Book) -> None:
        if standing := book.find(self._ticket):
            self._actions = standing.rule.actions
            self._scene = actions.Scene(ticket=self._ticket, delivery=self._delivery, random=standing.random)

    async def _act(self, moment: moments.Moment) -> None:
        if self._scene:
            for action in self._actions:
                await action.act(moment, scene=self._scene)

    async def _ask(self, head: messages.RequestHead, *, body: bytes) -> messages.ResponseHead:
        await self._flowing.wait()
        self.forwarded = True
        await self._server.send(head.raw + bodies.framed(body, head=head))
        response = await messages.read_response(self._server.reader)
        while response.interim:
            response = await messages.read_response(self._server.reader)
        if response.status == messages.SWITCHING_PROTOCOLS:
            raise ValueError(f"the proxy cannot follow {head.target} from HTTP to another protocol")
        return response

    async def _answer(self, head: messages.ResponseHead, *, method: str) -> None:
        body = bodies.of_response(head, method=method, reader=self._server.reader)
        self._delivery.head = head
        sink = self._shaped(self._delivery)
        await self._delivery.start()
        while piece := await self._next(body, sink=sink):
            await sink.write(piece)
        await sink.end()

    def _shaped(self, sink: sinks.Sink) -> sinks.Sink:
        if self._scene:
            # The first action sees the API server's bytes first.
            for action in reversed(self._actions):
                sink = action.shape(sink, scene=self._scene)
        return sink

    async def _next(self, body: bodies.Body, *, sink: sinks.Sink) -> bytes:
        while self._actions:
            try:
                async with asyncio.timeout(REST):
                    return await body.piece()
            except TimeoutError:
                await sink.rest()
        return await body.piece()

    async def _end(self, ending: moments.Ending) -> bool:
        if ending is moments.Ending.SILENCE:
            await self._client.gone.wait()
        elif ending is moments.Ending.RESET:
            if self._ticket.status is not None:
                await asyncio.sleep(READING)
            self._client.reset()
        return ending is moments.Ending.KEPT
