"""Implement ``lostromos version``: print the installed versions."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import click

DISTRIBUTIONS: Final = {
    "lostromos-core": "lostromos-core",
    "lostromos-kubectl": "lostromos-kubectl",
    "lostromos-helm": "lostromos-helm",
    "kubernetes": "python kubernetes client",
    "aiohttp": "aiohttp",
    "jinja2": "jinja2",
    "pydantic": "pydantic",
}
PROGRAMS: Final = {"kubectl": ("version", "--client"), "helm": ("version", "--short")}


@click.command(
    "version", short_help="Print versions.", epilog="\b\nExample:\n  lostromos version | grep '^lostromos'\n"
)
def command() -> None:
    """Print the versions of Lostrómos and its main dependencies, and of kubectl and helm, if installed."""
    for name, shown in DISTRIBUTIONS.items():
        try:
            click.echo(f"{shown} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            click.echo(f"{shown} not installed")
    click.echo(f"python {platform.python_version()}")
    for name, arguments in PROGRAMS.items():
        found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
        if found:
            click.echo(f"{name} {_ask(found, *arguments)} ({found})")


def _ask(program: str, *arguments: str) -> str:
    """Return the version that a program reports."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            [program, *arguments], capture_output=True, text=True, errors="replace", timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "version unknown"
    told = re.search(r"v(\d+\.\d+\.\d+[-+.\w]*)", done.stdout)
    return told[1] if told else "version unknown"
