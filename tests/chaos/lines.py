"""The lines of a watch stream, each an event: doubled, dropped or put out of order on their way to the client."""

import dataclasses
import random
import re
from collections.abc import Sequence
from typing import Final, Protocol, final

from tests.chaos import sinks


class Editor(Protocol):
    """Decides what becomes of the lines of one stream."""

    def take(self, line: bytes) -> Sequence[bytes]:
        """The lines to send on, now that this one, with its line end, has come."""
        ...

    def release(self) -> Sequence[bytes]:
        """The lines held back, to be sent on because no other line comes."""
        ...


@final
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The lines an editor cares for: those where a regular expression is found, or a random share of them."""

    matching: str
    share: float
    source: random.Random

    def takes(self, line: bytes) -> bool:
        return re.search(self.matching.encode(), line) is not None and self.source.random() < self.share


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Doubling:
    """Sends chosen lines twice."""

    choice: Choice

    def take(self, line: bytes) -> Sequence[bytes]:
        return (line, line) if self.choice.takes(line) else (line,)

    def release(self) -> Sequence[bytes]:
        return ()


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Dropping:
    """Loses chosen lines."""

    choice: Choice

    def take(self, line: bytes) -> Sequence[bytes]:
        return () if self.choice.takes(line) else (line,)

    def release(self) -> Sequence[bytes]:
        return ()


@final
class Reordering:
    """Holds chosen lines until there are `window` of them and sends them in another order; others overtake them."""

    def __init__(self, choice: Choice, *, window: int) -> None:
        self._choice = choice
        self._window = window
        self._held: list[bytes] = []

    def take(self, line: bytes) -> Sequence[bytes]:
        if not self._choice.takes(line):
            return (line,)
        self._held.append(line)
        return self.release() if len(self._held) == self._window else ()

    def release(self) -> Sequence[bytes]:
        came, self._held = self._held, []
        mixed = self._choice.source.sample(came, len(came))
        # Chance may restore the order; who asks for disorder gets it.
        return came[::-1] if mixed == came else mixed


@final
class LineSink:
    """Cuts a body into lines and sends on what an editor makes of them."""

    def __init__(self, sink: sinks.Sink, *, editor: Editor) -> None:
        self._sink = sink
        self._editor = editor
        self._rest = b""

    async def write(self, piece: bytes) -> None:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            await self._pass_on(self._editor.take(line + b"\n"))

    async def rest(self) -> None:
        await self._pass_on(self._editor.release())
        await self._sink.rest()

    async def end(self) -> None:
        await self._pass_on(self._editor.release())
        if self._rest:
            await self._sink.write(self._rest)
        await self._sink.end()

    async def _pass_on(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            await self._sink.write(line)


_EDITORS: Final[tuple[type[Editor], ...]] = (Doubling, Dropping, Reordering)
_SINKS: Final[tuple[type[sinks.Sink], ...]] = (LineSink,)
