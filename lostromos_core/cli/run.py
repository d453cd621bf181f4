"""Implement ``lostromos run``: run the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lostromos_core.cli import logs, memory, options
from lostromos_core.cli.output import summary
from lostromos_core.engine import event_loop, operator, reports
from lostromos_core.kube.transport import client

if TYPE_CHECKING:
    import pathlib


EXAMPLE = """\b
Examples:
  lostromos run --log-format=json
  lostromos run --once --dry-run
"""


@click.command("run", short_help="Watch, render and apply.", epilog=EXAMPLE)
@options.configuration
@options.plugin_choice
@options.cluster
@click.option(
    "--once", is_flag=True, help="Reconcile everything once, print a table and exit (0 only if all is ready)."
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    help="With --once: how to print the result; json includes the objects.  [default: table]",
)
@click.option(
    "--dry-run", is_flag=True, help="Send every write as a dry run: the API server checks it, and keeps nothing."
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    help="Resources of each controller reconciled at the same time; default: as configured.",
)
@click.option(
    "--identity",
    metavar="NAMESPACE/NAME",
    default="",
    envvar="LOSTROMOS_IDENTITY",
    show_envvar=True,
    help="Which operator this is, and its Lease; default: as configured, or derived from where it runs.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    envvar="LOSTROMOS_LOG_FORMAT",
    show_envvar=True,
    help="Log format: text for people, or one JSON object per line.",
)
@click.option(
    "--log-level",
    type=click.Choice(logs.LEVELS),
    default="info",
    show_default=True,
    envvar="LOSTROMOS_LOG_LEVEL",
    show_envvar=True,
    help="The lowest level to log.",
)
def command(
    *,
    config_file: pathlib.Path,
    disabled: tuple[str, ...],
    kubeconfig: str,
    context: str,
    once: bool,
    output: str | None,
    dry_run: bool,
    workers: int | None,
    identity: str,
    log_format: str,
    log_level: str,
) -> int:
    """Watch, render and apply, until SIGTERM or SIGINT; then finish running reconciles, and exit within 20 seconds.

    A second signal ends the process at once; the next start continues where it was.
    """
    if output and not once:
        msg = "--output needs --once"
        raise click.UsageError(msg)
    logs.configure(style=log_format, level=log_level)
    memory.use_one_arena()
    setup = options.load(config_file, disabled)

    connection = client.Client(kubeconfig, context=context, dry_run=dry_run)
    running = setup.operator(connection, workers=workers, identity=identity)
    done = event_loop.run_async(event_loop.until_signal(_run(running, connection, once=once), running.stop))
    if done is None:
        return 0
    if output == "json":
        summary.show_json(done, dry_run=dry_run)
    else:
        summary.show_table(done, [one.name for one in setup.settings.controllers], dry_run=dry_run)
    return 0 if done.ready else 1


async def _run(running: operator.Operator, connection: client.Client, *, once: bool) -> reports.Summary | None:
    """Run an operator until it is stopped, or once, and close its connection."""
    try:
        if once:
            return await running.once()
        async with memory.frozen_after(running.started):
            await running.serve()
    finally:
        await connection.close()
    return None
