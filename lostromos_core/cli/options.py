"""Define options that several commands share."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lostromos_core import errors, plugins
from lostromos_core.configuration import config
from lostromos_core.engine import bootstrap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

F = TypeVar("F", bound="Callable[..., Any]")


def configuration(function: F) -> F:
    """Add ``--config``: the lostromos.yaml to read."""
    return click.option(
        "-c",
        "--config",
        "config_file",
        type=click.Path(path_type=pathlib.Path),
        metavar="FILE",
        default=pathlib.Path("lostromos.yaml"),
        envvar="LOSTROMOS_CONFIG",
        show_default=True,
        show_envvar=True,
        help="The configuration file.",
    )(function)


def cluster(function: F) -> F:
    """Add ``--kubeconfig`` and ``--context``: the cluster, and the user to connect as."""
    function = click.option("--context", default="", help="The kubeconfig's context to use.")(function)
    return click.option(
        "--kubeconfig",
        type=click.Path(),
        metavar="FILE",
        default="",
        help="The kubeconfig file; default: $KUBECONFIG, ~/.kube/config, or the Pod's service account.",
    )(function)


def plugin_choice(function: F) -> F:
    """Add ``-p``: plug-ins that are not loaded."""
    return click.option(
        "-p",
        "disabled",
        metavar="no:NAME",
        multiple=True,
        callback=_disabled,
        help="Do not load the plug-in NAME. May be repeated.",
    )(function)


def _disabled(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of plug-ins to disable; raises BadParameter for other forms, and for names that do not exist."""
    names = []
    for text in given:
        if not text.startswith("no:"):
            msg = f"{text!r} does not have the form no:NAME, which disables a plug-in"
            raise click.BadParameter(msg)
        names.append(_known(text.removeprefix("no:")))
    return tuple(names)


def _known(name: str) -> str:
    there = plugins.installed()
    if name not in there:
        msg = f"no plug-in {name!r} is installed (available: {', '.join(there)}){errors.nearest(name, there)}"
        raise click.BadParameter(msg)
    return name


def load(config_file: pathlib.Path, disabled: Sequence[str] = ()) -> bootstrap.Setup:
    """Read the configuration and load the plug-ins, but not the disabled ones; raises ConfigError."""
    settings, document = config.load(config_file, os.environ)
    registry = plugins.load(disable={*disabled, *settings.plugins.disable})
    for index, name in enumerate(settings.plugins.disable):
        if name not in registry.disabled:
            hint = errors.nearest(name, plugins.installed())
            said = document.error(("plugins", "disable", index), f"no plug-in {name!r} is installed{hint}")
            click.echo(f"Warning: {said}", err=True)
    return bootstrap.Setup(settings, document, registry)
