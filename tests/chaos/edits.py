"""Actions on the lines of a watch: duplicate, drop, reorder."""

import dataclasses
from typing import final

from tests.chaos import actions, lines, sinks


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Edit(actions.Action):
    """Changes a stream of lines, which must be chunked and not compressed, as watches are: ValueError at exit if not.

    It concerns the lines where a regular expression is found, or a random share of them.
    """

    matching: str = ""
    share: float = 1.0

    def shape(self, sink: sinks.Sink, *, scene: actions.Scene) -> sinks.Sink:
        head = scene.delivery.head
        if head is None or not head.chunked or "content-encoding" in head.headers:
            raise ValueError(f"{type(self).__name__} needs a plain chunked response, not {head}")
        choice = lines.Choice(matching=self.matching, share=self.share, source=scene.random)
        return lines.LineSink(sink, editor=self._editor(choice))

    def _editor(self, choice: lines.Choice) -> lines.Editor:
        raise NotImplementedError


@final
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate(_Edit):
    """Sends lines twice."""

    def _editor(self, choice: lines.Choice) -> lines.Editor:
        return lines.Doubling(choice)


@final
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Drop(_Edit):
    """Loses lines."""

    def _editor(self, choice: lines.Choice) -> lines.Editor:
        return lines.Dropping(choice)


@final
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reorder(_Edit):
    """Collects `window` lines and sends them in another order; fewer, if for 0.1 s no other line comes."""

    window: int = 2

    def _editor(self, choice: lines.Choice) -> lines.Editor:
        return lines.Reordering(choice, window=self.window)
