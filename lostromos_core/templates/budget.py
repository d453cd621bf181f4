"""What one rendering may use, so that no data can take the operator's time and memory from its neighbours.

Templates run in the event loop, and what they make is kept in memory. So characters of values and rounds of loops are
counted, not seconds: the same resource renders, or does not, on every machine.
"""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any, Final, final

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_CHARACTERS: Final = 32 << 20
"""Characters of all values that one rendering writes: more than twenty of the largest objects that etcd takes."""
MAX_ROUNDS: Final = 500_000
"""Rounds of all loops of one rendering: about a second."""
ITEM: Final = 16
"""Characters that an item of a list or mapping counts for, beside its own."""

SHORT: Final = 256
"""Characters of a value that is not counted: a rendering has not so many of them."""


@final
class Slots(list[Any]):
    """The values of one rendering, and what it has used."""

    __slots__ = ("_characters", "_rounds")

    def __init__(self) -> None:
        super().__init__()
        self._characters = self._rounds = 0

    def part(self, numbers: Iterable[int]) -> Slots:
        """Some of the values, in this order."""
        found = Slots()
        found.extend([self[number] for number in numbers])
        return found

    def spend(self, characters: int) -> None:
        """Count characters that are about to be kept; raises RenderError when there are too many."""
        self._characters += characters
        if self._characters > MAX_CHARACTERS:
            msg = (
                f"the values that are written have more than {MAX_CHARACTERS >> 20} MiB in all, and an object holds "
                "1.5 at most; write less, or limit the field's length in the resource's schema"
            )
            raise errors.RenderError(msg)

    def rounds(self, items: Iterable[Any]) -> Iterator[Any]:
        """The items, counted; raises RenderError when all loops together have had too many."""
        for item in items:
            self._rounds += 1
            if self._rounds > MAX_ROUNDS:
                msg = (
                    f"the loops of the template have gone round more than {MAX_ROUNDS:,} times; loop over less, or "
                    "limit the number of items in the resource's schema"
                )
                raise errors.RenderError(msg)
            yield item


current: Final[contextvars.ContextVar[Slots]] = contextvars.ContextVar("slots")
"""The slots of the rendering that runs; a context variable, so that imports without context find them too."""


def spend(characters: int) -> None:
    """Count characters for the rendering that runs, if one does."""
    slots = current.get(None)
    if slots is not None:
        slots.spend(characters)


def weigh(value: Any) -> int:  # noqa: ANN401 - plain data
    """The characters of plain data."""
    if isinstance(value, str):
        return ITEM + len(value)
    if isinstance(value, dict):
        return ITEM + sum(ITEM + len(key) + weigh(item) for key, item in value.items())
    if isinstance(value, list):
        return ITEM + sum(map(weigh, value))
    return ITEM
