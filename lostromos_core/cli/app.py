"""Define the command group, and turn errors into exit codes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

import click
import rich.console

from lostromos_core import errors
from lostromos_core.cli import cleanup, list_plugins, render, run, schema, version

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILURE, CONFIGURATION = 1, 3


EPILOG = """\b
Example:
  lostromos render -f page.yaml
  lostromos run --once
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, epilog=EPILOG)
@click.version_option(package_name="lostromos-core", prog_name="lostromos")
def commands() -> None:
    """Watch custom resources, render templates with their data, and apply the result.

    Exit codes: 0 success, 1 failure at run time, 2 wrong usage, 3 a configuration that cannot be used.
    """


for command in (run.command, render.command, cleanup.command, list_plugins.command, schema.command, version.command):
    commands.add_command(command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line and exit."""
    try:
        status = commands.main(arguments, prog_name="lostromos", standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except errors.ConfigError as error:
        _complain("configuration", error)
        sys.exit(CONFIGURATION)
    except errors.LostromosError as error:
        _complain("failed", error)
        sys.exit(FAILURE)


def _complain(what: str, error: Exception) -> None:
    console = rich.console.Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(f"[bold red]lostromos: {what}:[/]", end=" ")
    console.print(str(error), markup=False)
