"""What the person who waits gets to read: the table of figures, the table of a curve; and the JSON of everything."""

import dataclasses
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from typing import Any, Final

import rich.box
import rich.console
import rich.table

from tests.bench import cases, figures, measures, runs

MARKS: Final = {"met": "[green]met[/]", "missed": "[bold red]missed[/]", "": ""}
PLOTTED: Final = ("operator CPU a CR", "API server CPU a CR", "peak RSS", "restart, CPU")
WIDTH: Final = 50
"""Characters of the longest bar."""
DISTRIBUTIONS: Final = ("lostromos-core", "aiohttp", "orjson", "uvloop")


def table(done: Sequence[runs.Run]) -> rich.table.Table:
    """The figures of runs with the same plan."""
    plan = done[0].plan
    title = f"{plan.count} resources of 4 objects, applier {plan.applier}, {_times(len(done))}"
    made = rich.table.Table(title=title, box=rich.box.SIMPLE_HEAD)
    made.add_column("Figure")
    for name in ("Operator", "Floor"):
        made.add_column(name, justify="right")
    for name in ("Target", ""):
        made.add_column(name)
    for figure in figures.figures(done):
        name = f"{figure.name}, {figure.unit}" if figure.unit else figure.name
        made.add_row(name, _number(figure.operator), _number(figure.floor), figure.target, MARKS[figure.verdict])
    return made


def curve(points: Sequence[Sequence[runs.Run]]) -> rich.table.Table:
    """The figures that should not grow with the number of resources, one column for each number."""
    made = rich.table.Table(title="The cost of a resource as they become more", box=rich.box.SIMPLE_HEAD)
    made.add_column("Figure")
    for done in points:
        made.add_column(f"{done[0].plan.count:,}", justify="right")
    found = [{(figure.name, figure.unit): figure for figure in figures.figures(done)} for done in points]
    for name, unit in found[0]:
        cells = [_pair(figure[name, unit]) if (name, unit) in figure else "" for figure in found]
        made.add_row(f"{name}, {unit}" if unit else name, *cells)
    growth = figures.growth(points)
    verdict = MARKS["met" if growth <= measures.GROWTH else "missed"]
    made.caption = (
        "operator / floor of the same run\n"
        f"the operator's CPU a CR grows to {growth:.2g} times (target: <= {measures.GROWTH:g}) {verdict}"
    )
    return made


def case(name: str, measured: cases.Case, points: Mapping[int, cases.Figures]) -> rich.table.Table:
    """The figures of a case, a column for each size."""
    made = rich.table.Table(title=f"{name}: {measured.of}", box=rich.box.SIMPLE_HEAD)
    made.add_column("Figure")
    for size in points:
        made.add_column(f"{size:,}", justify="right")
    for figure in next(iter(points.values())):
        made.add_row(figure, *(_number(found[figure]) for found in points.values()))
    return made


def plot(points: Sequence[Sequence[runs.Run]]) -> rich.console.Group:
    """Bars of what should stay flat, or small: each figure on a scale of its own, one bar for each number."""
    made: list[str] = []
    for wanted in PLOTTED:
        values = [
            (done[0].plan.count, figure.operator, figure.unit)
            for done in points
            for figure in figures.figures(done)
            if figure.name == wanted and figure.operator is not None
        ]
        most = max((value for _, value, _ in values), default=0.0) or 1.0
        made.append(f"[bold]{wanted}[/]")
        for count, value, unit in values:
            bar = "█" * max(1, round(WIDTH * value / most))
            made.append(f"{count:>8,} {bar} {_number(value)} {unit}")
    return rich.console.Group(*made)


def document(points: Sequence[Sequence[runs.Run]]) -> dict[str, Any]:
    """Everything that was measured, as plain data."""
    return {
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in DISTRIBUTIONS},
        "points": [
            {
                "count": done[0].plan.count,
                "applier": done[0].plan.applier,
                "figures": [dataclasses.asdict(figure) for figure in figures.figures(done)],
                "runs": [dataclasses.asdict(run) for run in done],
            }
            for done in points
        ],
    }


def _times(number: int) -> str:
    return "one run" if number == 1 else f"medians of {number} runs"


def _pair(figure: figures.Figure) -> str:
    return _number(figure.operator) if figure.floor is None else f"{_number(figure.operator)} / {_number(figure.floor)}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1000 or value == round(value) else f"{value:.3g}"


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
