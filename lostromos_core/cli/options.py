"""Define options that several commands share."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lostromos_core import plugins
from lostromos_core.configuration import config
from lostromos_core.engine import bootstrap

if TYPE_CHECKING:
    from collections.abc import Callable

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


def load(config_file: pathlib.Path) -> bootstrap.Setup:
    """Read the configuration and load the plug-ins; raises ConfigError."""
    settings, document = config.load(config_file, os.environ)
    return bootstrap.Setup(settings, document, plugins.load())
