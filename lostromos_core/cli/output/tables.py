"""Draw tables: as wide as the terminal for people, and never wrapped for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich.box
import rich.console
import rich.table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDE = 10_000
"""Columns of an output that is not a terminal: more than any row needs."""


def console() -> rich.console.Console:
    """Return a console for standard output."""
    made = rich.console.Console(highlight=False)
    return made if made.is_terminal else rich.console.Console(highlight=False, width=WIDE)


def of(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> rich.table.Table:
    """Return a table; cells may contain rich's markup, so foreign text must be escaped."""
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
