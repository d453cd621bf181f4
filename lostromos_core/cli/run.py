"""``lostromos run``: the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import rich.box
import rich.console
import rich.markup
import rich.table

from lostromos_core import errors, operator_
from lostromos_core.cli import logs, options
from lostromos_core.kube import client

if TYPE_CHECKING:
    import pathlib

    from lostromos_core import assembly


@click.command("run")
@options.configuration
@options.cluster
@click.option(
    "--once", is_flag=True, help="Reconcile everything once, print a table, and exit: 0 only if all is ready."
)
@click.option(
    "--dry-run", is_flag=True, help="Send every write as a dry run: the API server checks it, and keeps nothing."
)
@click.option(
    "--workers", type=click.IntRange(1, 256), help="Resources reconciled at the same time; default: as configured."
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    envvar="LOSTROMOS_LOG_FORMAT",
    show_envvar=True,
    help="How log lines are written: for people, or one JSON object a line.",
)
@click.option(
    "--log-level",
    type=click.Choice(logs.LEVELS),
    default="info",
    show_default=True,
    envvar="LOSTROMOS_LOG_LEVEL",
    show_envvar=True,
    help="The least important lines to write.",
)
def command(  # noqa: PLR0913 - the options of the command
    *,
    config_file: pathlib.Path,
    kubeconfig: str,
    context: str,
    once: bool,
    dry_run: bool,
    workers: int | None,
    log_format: str,
    log_level: str,
) -> int:
    """Watch, render and apply, until SIGTERM or SIGINT; then finish what runs, and exit within 20 seconds."""
    logs.configure(style=log_format, level=log_level)
    setup = options.load(config_file)

    async def go() -> operator_.Summary | None:
        kube = client.Kube(kubeconfig, context=context, dry_run=dry_run)
        operator = setup.operator(kube, workers=workers)
        try:
            if once:
                return await operator.once()
            await operator.serve()
        finally:
            await kube.close()
        return None

    summary = operator_.run_async(go())
    return 0 if summary is None else _show(summary, setup)


def _show(summary: operator_.Summary, setup: assembly.Setup) -> int:
    """Print how everything went; the exit code."""
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    for heading in ("Controller", "Resource", "Ready", "Reason", "Message"):
        table.add_column(heading, overflow="fold")
    for (controller, key), result in sorted(summary.results.items()):
        report = result.report
        if report is None:
            continue
        colour = "green" if report.ready else "red"
        table.add_row(
            controller,
            key,
            f"[{colour}]{report.ready}[/]",
            report.reason,
            rich.markup.escape(errors.shorten(report.message)),
        )
    console = rich.console.Console()
    if table.row_count:
        console.print(table)
    else:
        names = ", ".join(controller.name for controller in setup.settings.controllers)
        console.print(f"No resources for {names}.")
    for controller, trouble in summary.troubles.items():
        console.print(f"[bold red]{controller}:[/] {rich.markup.escape(trouble or 'was not watched')}", soft_wrap=True)
    return 0 if summary.ready else 1
