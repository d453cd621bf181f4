"""``lostromos plugins``: what is installed."""

from __future__ import annotations

import json

import click
import rich.box
import rich.console
import rich.table

from lostromos_core import plugins


@click.command("plugins")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(*, output: str) -> None:
    """List the installed plug-ins: name, distribution, version, and what each provides."""
    found = plugins.load().plugins
    if output == "json":
        rows = [
            {"name": p.name, "distribution": p.distribution, "version": p.version, "provides": p.provides}
            for p in found
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    table = rich.table.Table("Name", "Distribution", "Version", "Provides", box=rich.box.SIMPLE_HEAD)
    for plugin in found:
        table.add_row(plugin.name, plugin.distribution, plugin.version, ", ".join(plugin.provides) or "nothing yet")
    rich.console.Console().print(table)
