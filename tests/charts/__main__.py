"""`python -m tests.charts DIR`: whether charts come out the same by hand, as releases, and rendered."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from tests.charts import compare, snapshot, ways
from tests.controlplane import api, binaries, cluster, crds

SAMPLES: Final = Path(__file__).with_name("samples")


def charts_in(folder: Path) -> list[Path]:
    """The charts of a folder: folders with a Chart.yaml, and archives."""
    found = [path for path in sorted(folder.iterdir()) if path.suffix == ".tgz" or (path / "Chart.yaml").is_file()]
    return [folder] if not found and (folder / "Chart.yaml").is_file() else found


def name_of(chart: Path) -> str:
    """A release's name for a chart, short enough for any."""
    return "".join(letter for letter in chart.stem.lower().replace(".", "-") if letter.isalnum() or letter == "-")[:20]


def tell(how: str, hand: ways.Found, ours: ways.Found, but: set[tuple[snapshot.Key, compare.Path]]) -> Iterator[str]:
    """What a way makes that differs from what Helm makes by hand."""
    hooks = how == "helm-template"  # which leaves hooks out
    if ours.said:
        yield f"failed: {ours.said}"
    kept = [
        {key: item for key, item in one.items() if not (hooks and item.hook)} for one in (hand.objects, ours.objects)
    ]
    yield from compare.differences(kept[0], kept[1], but)
    if ours.writes > hand.writes:
        yield f"writes when idle: {ours.writes}, by hand {hand.writes}"
    left = [{key for key, item in one.items() if not (hooks and item.hook)} for one in (hand.left, ours.left)]
    yield from (f"left, and not by hand: {compare.names(key)}" for key in sorted(left[1] - left[0]))
    yield from (f"not left, and by hand: {compare.names(key)}" for key in sorted(left[0] - left[1]))


def try_out(place: ways.Place, chart: Path) -> Iterator[tuple[str, list[str]]]:
    """Each way, and what differs in it."""
    name = name_of(chart)
    hand = place.by_hand(chart, name)
    if hand.said:
        yield "by hand", [f"failed: {hand.said}"]
        return
    but = compare.changing(hand.objects, place.by_hand(chart, name).objects)
    left = ", ".join(map(compare.names, sorted(hand.left))) or "nothing"
    click.echo(f"{chart.name}: {len(hand.objects)} objects by hand, left after removal: {left}")
    kinds = sorted(
        {f"{kind}{'.' if group else ''}{group}" for group, kind, _, _ in hand.objects} if place.values else ()
    )
    yield "helm", list(tell("helm", hand, place.applier(chart, name), but))
    yield "helm-template", list(tell("helm-template", hand, place.renderer(chart, name, kinds), but))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=SAMPLES)
@click.option("--helm", "major", type=click.Choice(["helm-3", "helm-4"]), default="helm-3", show_default=True)
@click.option("--values", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Values for all charts.")
@click.option("--idle", type=click.FloatRange(0), default=8.0, show_default=True, help="Seconds to count writes in.")
@click.option("--chart", "only", multiple=True, help="Only charts of this name.")
def main(*, folder: Path, major: str, values: Path | None, idle: float, only: tuple[str, ...]) -> None:
    """Make each chart in FOLDER by hand, with the applier helm, and with helm-template and server-side apply.

    Prints what differs: objects and their fields, writes when idle, and what is left after removal. Fields that differ
    between two installs by hand do not count. Pods are played: no image is needed.
    """
    different = 0
    with (
        cluster.ControlPlane(controller_manager=True) as plane,
        api.Api(plane.access()) as admin,
        tempfile.TemporaryDirectory() as scratch,
    ):
        crds.create(admin, crds.definition(ways.KIND))
        place = ways.Place(plane, admin, binaries.helm(major), Path(scratch), values, idle)
        for chart in charts_in(folder.resolve()):
            if only and chart.name not in only:
                continue
            for how, lines in try_out(place, chart):
                different += len(lines)
                click.echo(f"  {how}: {'as by hand' if not lines else f'{len(lines)} differences'}")
                for line in lines:
                    click.echo(f"    {line}")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
