"""``lostromos version``: which versions run here."""

from __future__ import annotations

import importlib.metadata
import platform

import click


@click.command("version")
def command() -> None:
    """Print the versions of Lostrómos and of what it stands on."""
    for name in ("lostromos-core", "lostromos-kubectl", "lostromos-helm", "kubernetes", "jinja2"):
        try:
            click.echo(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            click.echo(f"{name} not installed")
    click.echo(f"python {platform.python_version()}")
