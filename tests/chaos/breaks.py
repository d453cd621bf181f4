"""Actions that end an exchange early: by silence, by a broken connection, or in order."""

import dataclasses
from typing import ClassVar, final

from tests.chaos import actions, moments, sinks


@dataclasses.dataclass(frozen=True, slots=True)
class Break(actions.Action):
    """Ends the exchange at a moment, or when so many bytes of the body have gone to the client.

    With 0 the client has the head only; a body shorter than that passes whole.
    """

    ending: ClassVar[moments.Ending]
    at: moments.Moment | int = actions.BEFORE

    async def act(self, moment: moments.Moment, *, scene: actions.Scene) -> None:  # noqa: ARG002 - others use it
        if moment is self.at:
            raise moments.InterruptedExchange(self.ending)

    def shape(self, sink: sinks.Sink, *, scene: actions.Scene) -> sinks.Sink:
        if isinstance(self.at, int):
            scene.delivery.stop = sinks.Stop(after=self.at, ending=self.ending)
        return sink


@final
@dataclasses.dataclass(frozen=True, slots=True)
class BlackHole(Break):
    """Sends nothing more and keeps the connection open."""

    ending: ClassVar[moments.Ending] = moments.Ending.SILENCE


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Reset(Break):
    """Ends the connection by RST."""

    ending: ClassVar[moments.Ending] = moments.Ending.RESET


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Eof(Break):
    """Closes the connection, with a number of bytes in the middle of a line and of a chunk."""

    ending: ClassVar[moments.Ending] = moments.Ending.EOF


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Finish(Break):
    """Ends the body in order, as a watch ends at its timeout, and closes the connection. For chunked bodies."""

    ending: ClassVar[moments.Ending] = moments.Ending.FINISHED
