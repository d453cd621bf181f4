"""Show the results of ``lostromos run --once``: a table for people, or JSON for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
import rich.markup

from lostromos_core import errors, interfaces
from lostromos_core.cli.output import tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lostromos_core.engine import reports

LONG = 20_000
"""Maximum length of a message, which names every file that cannot be rendered."""
DRY = "Dry run: nothing was kept."


def show_table(summary: reports.Summary, controllers: Sequence[str], *, dry_run: bool) -> None:
    """Print one row for each resource, then what could not be watched."""
    console = tables.console()
    rows = [_row(controller, key, result) for (controller, key), result in sorted(summary.results.items())]
    if rows:
        console.print(tables.of(("Controller", "Resource", "Ready", "Reason", "Message"), rows))
    for line in _failures(summary):
        console.print(rich.markup.escape(line), soft_wrap=True)
    busy = {controller for controller, _ in summary.results}
    idle = [name for name in controllers if name not in busy and name not in summary.troubles]
    if idle:
        console.print(f"No resources for {', '.join(idle)}.", soft_wrap=True)
    for controller, trouble in summary.troubles.items():
        console.print(f"[bold red]{controller}:[/] {rich.markup.escape(trouble or 'was not watched')}", soft_wrap=True)
    if dry_run:
        console.print(DRY)


def show_json(summary: reports.Summary, *, dry_run: bool) -> None:
    """Print the same, and each object, as JSON for programs."""
    found = sorted(summary.results.items())
    data = {
        "ready": summary.ready,
        "dryRun": dry_run,
        "resources": [_data(controller, key, result) for (controller, key), result in found],
        "troubles": [{"controller": name, "message": text} for name, text in summary.troubles.items()],
    }
    click.echo(json.dumps(data, indent=2))


def _failures(summary: reports.Summary) -> Iterator[str]:
    """Yield a line for each failed object of a resource with several: the table has room for one."""
    for (_, key), result in sorted(summary.results.items()):
        failed = [one for one in _objects_of(result) if one.action is interfaces.Action.FAILED]
        if len(failed) > 1:
            yield from (f"{key}: {one.ref}: {_said(one)}" for one in failed)


def _said(result: interfaces.ObjectResult) -> str:
    """Return the message about an object, with the template's file and line."""
    return f"{result.place}: {result.message}" if result.place else result.message


def _objects_of(result: reports.Result) -> Sequence[interfaces.ObjectResult]:
    return result.report.objects if result.report is not None else ()


def _row(controller: str, key: str, result: reports.Result) -> Sequence[str]:
    ready, reason, message = _fate(result)
    colour = {True: "green", False: "red", None: "dim"}[ready]
    said = "-" if ready is None else str(ready)
    return controller, rich.markup.escape(key), f"[{colour}]{said}[/]", reason, rich.markup.escape(message)


def _fate(result: reports.Result) -> tuple[bool | None, str, str]:
    """Return whether the resource is ready (None: it is gone), the reason, and the message."""
    if result.report is not None:
        return result.report.ready, result.report.reason, errors.shorten(result.report.message, LONG)
    if result.resource is not None and "deletionTimestamp" not in result.resource.metadata:
        return None, "Released", "it left the selection; its objects are gone"
    return None, "Deleted", "its objects are gone"


def _data(controller: str, key: str, result: reports.Result) -> dict[str, Any]:
    ready, reason, message = _fate(result)
    objects = list(_objects(result.report)) if result.report else []
    head = {"controller": controller, "resource": key}
    return {**head, "ready": ready, "reason": reason, "message": message, "objects": objects}


def _objects(report: interfaces.Report) -> Iterator[dict[str, str]]:
    for result in report.objects:
        ref = result.ref
        named = {"apiVersion": ref.api_version, "kind": ref.kind, "namespace": ref.namespace, "name": ref.name}
        yield {**named, "action": result.action.value, "message": _said(result), "place": result.place}
