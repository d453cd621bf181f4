"""Tables: as wide as the terminal for people, and never wrapped where another program reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich.box
import rich.console
import rich.table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDE = 10_000
"""Columns of what is no terminal: more than any row has."""


def console() -> rich.console.Console:
    """Standard output."""
    made = rich.console.Console(highlight=False)
    return made if made.is_terminal else rich.console.Console(highlight=False, width=WIDE)


def of(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> rich.table.Table:
    """A table; cells may have rich's markup, so foreign text must be escaped."""
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
