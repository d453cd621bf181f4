"""What a rule can do to an exchange: wait, call, answer, slow down; `breaks` and `edits` hold the rest."""

import asyncio
import dataclasses
import random
from collections.abc import Callable, Mapping
from typing import Final, final

from tests.chaos import answers, moments, records, sinks

BEFORE: Final = moments.Moment.BEFORE
AFTER: Final = moments.Moment.AFTER


@final
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The exchange in which an action acts."""

    ticket: records.Ticket
    delivery: sinks.Delivery
    random: random.Random


@dataclasses.dataclass(frozen=True, slots=True)
class Action:
    """Does nothing; what others do is said by what they override. An action holds no state: that is the sink's."""

    async def act(self, moment: moments.Moment, *, scene: Scene) -> None:
        """Act at a moment of the exchange. Raises moments.InterruptedExchange to end it."""

    def shape(self, sink: sinks.Sink, *, scene: Scene) -> sinks.Sink:  # noqa: ARG002 - others use it
        """What takes the response's body instead of the sink."""
        return sink


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Delay(Action):
    """Waits for seconds, or a random time between these and `up_to`.

    Before forwarding: the request reaches the API server even if its client has died meanwhile.
    """

    seconds: float
    _: dataclasses.KW_ONLY
    up_to: float | None = None
    at: moments.Moment = BEFORE

    async def act(self, moment: moments.Moment, *, scene: Scene) -> None:
        if moment is self.at:
            latest = self.seconds if self.up_to is None else self.up_to
            await asyncio.sleep(scene.random.uniform(self.seconds, latest))


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Call(Action):
    """Calls back with the record of the request.

    The callback runs in the proxy's thread and nothing passes the proxy until it returns: so it must not send requests
    through the proxy. An exception of it resets the connection and is raised again when the proxy is left.
    """

    callback: Callable[[records.Record], object]
    _: dataclasses.KW_ONLY
    at: moments.Moment = BEFORE

    async def act(self, moment: moments.Moment, *, scene: Scene) -> None:
        if moment is self.at:
            self.callback(scene.ticket.record())


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Answer(Action):
    """Answers instead of the API server: a Kubernetes Status, unless there is a body.

    At AFTER the API server has done what was asked, but its answer is lost, and the connection is closed.
    """

    status: int
    _: dataclasses.KW_ONLY
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: str | None = None
    message: str = "chaos"
    at: moments.Moment = BEFORE

    async def act(self, moment: moments.Moment, *, scene: Scene) -> None:
        if moment is not self.at:
            return
        body = answers.failure(self.status, message=self.message) if self.body is None else self.body
        kept = self.at is BEFORE
        headers = self.headers if kept else {"connection": "close", **self.headers}
        await scene.delivery.answer(self.status, raw=answers.response(self.status, headers=headers, body=body))
        raise moments.InterruptedExchange(moments.Ending.KEPT if kept else moments.Ending.FINISHED)


def watch_error(code: int, *, message: str = "chaos") -> Answer:
    """Begins a watch with 200 and ends it with one ERROR event, as "410 Expired" comes."""
    return Answer(200, body=answers.error_event(code, message=message))


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Throttle(Action):
    """Passes the response's body no faster than a rate, in bytes a second."""

    rate: int

    def shape(self, sink: sinks.Sink, *, scene: Scene) -> sinks.Sink:  # noqa: ARG002 - others use it
        return sinks.Throttled(sink, rate=self.rate)
