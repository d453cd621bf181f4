"""Implement ``lostromos plugins``: list what is installed."""

from __future__ import annotations

import json

import click

from lostromos_core import plugins
from lostromos_core.cli import options
from lostromos_core.cli.output import tables


@click.command(
    "plugins", short_help="List the installed plug-ins.", epilog="\b\nExample:\n  lostromos plugins -o json\n"
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How to print the list.",
)
@options.plugin_choice
def command(*, output: str, disabled: tuple[str, ...]) -> None:
    """List the installed plug-ins: name, distribution, version, and what each provides."""
    found = plugins.load(disable=disabled).plugins
    if output == "json":
        rows = [
            {"name": p.name, "distribution": p.distribution, "version": p.version, "provides": p.provides}
            for p in found
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    table = [(p.name, p.distribution, p.version, ", ".join(p.provides) or "nothing yet") for p in found]
    tables.console().print(tables.of(("Name", "Distribution", "Version", "Provides"), table))
