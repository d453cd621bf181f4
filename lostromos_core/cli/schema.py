"""Implement ``lostromos schema``: print the JSON Schema of the configuration."""

from __future__ import annotations

import json

import click

from lostromos_core import plugins
from lostromos_core.cli import options
from lostromos_core.engine import bootstrap


@click.command(
    "schema",
    short_help="Print the configuration's JSON Schema.",
    epilog="\b\nExample:\n  lostromos schema > lostromos.schema.json\n",
)
@options.plugin_choice
def command(*, disabled: tuple[str, ...]) -> None:
    """Print the JSON Schema of lostromos.yaml, with the options of all installed plug-ins, for editors."""
    click.echo(json.dumps(bootstrap.json_schema(plugins.load(disable=disabled)), indent=2))
