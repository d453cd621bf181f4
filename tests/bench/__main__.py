"""`python -m tests.bench`: what the operator costs, beside what its writes cost at least."""

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

import click
import rich.console

from tests.bench import cases, figures, floor, report, running, runs, workload
from tests.bench import rendering as rendering_
from tests.controlplane import errors

Counts = tuple[int, ...]


def _counts(_context: click.Context, _parameter: click.Parameter, value: str) -> Counts:
    """`100,1000` as numbers."""
    try:
        counts = tuple(int(part) for part in value.split(",") if part)
    except ValueError as error:
        raise click.BadParameter("give numbers with commas between them, such as 100,1000") from error
    if any(count < 1 for count in counts):
        raise click.BadParameter("each number must be at least 1")
    return counts


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--count", type=click.IntRange(1), default=200, show_default=True, help="Resources.")
@click.option(
    "--applier",
    type=click.Choice(get_args(workload.Applier)),
    default="server-side",
    show_default=True,
    help="How the operator applies.",
)
@click.option("--headless", is_flag=True, help="Make Services without an address, whose cost grows with their number.")
@click.option("--repeat", type=click.IntRange(1), default=1, show_default=True, help="Runs; figures are their medians.")
@click.option("--trials", type=click.IntRange(0), default=100, show_default=True, help="Updates, one at a time.")
@click.option("--idle", type=click.FloatRange(0), default=10.0, show_default=True, help="Seconds with nothing to do.")
@click.option("--restart/--no-restart", default=True, show_default=True, help="Start the operator again at the end.")
@click.option("--curve", callback=_counts, default="", help="Measure with each of these numbers, such as 100,1000.")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Keep all that was measured in FILE."
)
@click.option(
    "--profile",
    type=click.Path(path_type=Path, dir_okay=False, resolve_path=True),
    help="Run the operator under cProfile until it has been idle, and keep that in FILE. Its figures are then not its.",
)
@click.option(
    "--case",
    "chosen",
    type=click.Choice([*cases.CASES, "all"]),
    multiple=True,
    help="Measure this case instead, at a tenth of its size and at its size.",
)
@click.option(
    "--scale", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True, help="Of the cases' sizes."
)
@click.option("--rendering", is_flag=True, help="Measure only what rendering costs; needs no control plane.")
@click.option("--check", is_flag=True, help="Exit with 1 if a target of this release is missed.")
def main(
    *,
    count: int,
    applier: workload.Applier,
    headless: bool,
    repeat: int,
    trials: int,
    idle: float,
    restart: bool,
    curve: Counts,
    json_file: Path | None,
    profile: Path | None,
    chosen: Sequence[str],
    scale: float,
    rendering: bool,
    check: bool,
) -> None:
    """Measure the operator on a fresh control plane.

    Each run starts etcd and kube-apiserver and measures the floor (a minimal program that sends the same writes), and
    then starts them again and measures the operator: converge, updates, idle, restart. It takes about a minute for 200 resources. The figures of two
    machines, or of two days, cannot be compared; their ratios to the floor can.

    The cases are those in which costs could grow with all others; `--case all --scale 0.05` takes a few minutes.

    Exits with 0 even if targets are missed, unless told to --check.
    """
    if headless and applier in workload.HELM:
        raise click.UsageError("--headless goes with the appliers server-side and kubectl")
    if rendering:
        _measure_rendering(check=check)
        return
    console, begin = rich.console.Console(stderr=True), time.monotonic()

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - begin:6.1f} s[/] {text}", highlight=False)

    if chosen:
        for name in cases.CASES if "all" in chosen else chosen:
            case = cases.CASES[name]
            with _explained():
                rich.print(
                    report.case(name, case, cases.run(case, max(1, round(case.size * scale)), idle=idle, say=say))
                )
        return
    points: list[Sequence[runs.Run]] = []
    for number in curve or (count,):
        plan = runs.Plan(
            count=number,
            applier=applier,
            headless=headless,
            trials=trials,
            idle=idle,
            restart=restart,
            profile=profile,
        )
        points.append(_repeat(plan, repeat, say))
        rich.print(report.table(points[-1]))
    if len(points) > 1:
        rich.print(report.curve(points))
        rich.print(report.plot(points))
    if json_file:
        json_file.write_text(json.dumps(report.document(points), indent=1, default=str) + "\n")
    missed = [figure.name for done in points for figure in figures.figures(done) if _is_missed(figure)]
    if missed and check:
        raise click.ClickException(f"missed: {', '.join(missed)}")


def _measure_rendering(*, check: bool) -> None:
    found = rendering_.measure()
    rich.print(rendering_.table(found))
    missed = [one.name for one in found if one.missed]
    if missed and check:
        raise click.ClickException(f"missed: {', '.join(missed)}")


def _repeat(plan: runs.Plan, times: int, say: runs.Say) -> Sequence[runs.Run]:
    with _explained():
        return [runs.run(plan, say=say) for _ in range(times)]


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """What goes wrong is told in a line."""
    try:
        yield
    except (errors.ControlPlaneError, running.OperatorEndedError, floor.FloorError, TimeoutError) as error:
        notes = "\n".join(getattr(error, "__notes__", []))
        raise click.ClickException(f"{error}\n{notes}") from error


def _is_missed(figure: figures.Figure) -> bool:
    return figure.binding and figure.verdict == "missed"


if __name__ == "__main__":
    sys.exit(main(prog_name="python -m tests.bench"))
