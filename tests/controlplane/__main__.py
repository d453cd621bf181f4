"""`python -m tests.controlplane`: a real Kubernetes control plane from the shell."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from tests.controlplane import binaries, child, cluster, errors, kept, toolchain

NOT_FOUND: Final = 127
"""What a shell answers for a command that is not there."""


class Commands(click.Group):
    """A group whose commands' errors are messages, not tracebacks."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (errors.ControlPlaneError, OSError) as error:
            raise click.ClickException(str(error)) from error


def controller_manager_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--controller-manager`."""
    text = "Run kube-controller-manager too: garbage collection, the end of namespaces, Pods for Deployments."
    return click.option("--controller-manager", is_flag=True, help=text)(command)


def state_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--state`."""
    return click.option(
        "--state",
        type=click.Path(file_okay=False, path_type=Path),
        default=kept.default_state,
        show_default="a folder in the cache",
        help="Folder for the files of the control plane that is kept.",
    )(command)


@click.group(cls=Commands)
def main() -> None:
    """A real Kubernetes control plane on this machine: etcd and kube-apiserver on loopback, no kubelet.

    The programs come from $KUBEBUILDER_ASSETS, from PATH, or from the cache folder, where they are built from Go
    modules the first time (some minutes). The cache is $LOSTROMOS_CACHE, $XDG_CACHE_HOME/lostromos or
    ~/.cache/lostromos.
    """


@main.command(context_settings={"allow_interspersed_args": False})
@controller_manager_option
@click.argument("command", metavar="-- CMD...", nargs=-1, required=True, type=click.UNPROCESSED)
def run(*, command: tuple[str, ...], controller_manager: bool) -> None:
    """Run CMD with a fresh control plane, and stop that afterwards.

    CMD sees KUBECONFIG (the administrator's; developer.kubeconfig and operator.kubeconfig lie beside it), API_PID and
    ETCD_PID in its environment. SIGINT and SIGTERM go to CMD. The exit status is CMD's, or 127 if there is no CMD.
    """
    # Before the start: with nothing in the cache that takes minutes.
    if shutil.which(command[0]) is None:
        click.echo(f"{command[0]}: command not found", err=True)
        sys.exit(NOT_FOUND)
    with cluster.ControlPlane(controller_manager=controller_manager) as plane:
        status = child.run(command, environment=os.environ | _environment(plane))
    sys.exit(status)


@main.command()
@controller_manager_option
@state_option
def up(*, controller_manager: bool, state: Path) -> None:
    """Start a control plane and keep it until `down`; print the shell command that selects it.

    eval "$(python -m tests.controlplane up)"
    """
    plane = kept.Kept(state)
    started = plane.up(controller_manager=controller_manager)
    click.echo("The control plane is up." if started else "The control plane is already up.", err=True)
    click.echo(f"export KUBECONFIG={plane.kubeconfig}")


@main.command()
@state_option
def down(*, state: Path) -> None:
    """Stop the control plane that `up` started, and forget its data."""
    stopped = kept.Kept(state).down()
    click.echo("The control plane is down." if stopped else "No control plane is up.", err=True)


@main.command("build")
def build_() -> None:
    """Build the programs into the cache, even if there are others in PATH; print the folder."""
    click.echo(binaries.build_into_cache())


@main.command()
def where() -> None:
    """Show which programs would be used."""
    basic, full = binaries.find(controller_manager=False), binaries.find(controller_manager=True)
    _show("etcd", basic.etcd if basic else None)
    _show("kube-apiserver", basic.kube_apiserver if basic else None)
    _show("kube-controller-manager", full.kube_controller_manager if full else None)
    _show("kubectl", binaries.kubectl())
    _show("go", toolchain.find(binaries.SOURCES))
    _show(f"built {binaries.version()}", binaries.built())


def _show(name: str, path: Path | None) -> None:
    note = "" if path and path.exists() else "  (not there)"
    click.echo(f"{name:<24} {path or ''}{note}")


def _environment(plane: cluster.ControlPlane) -> dict[str, str]:
    return {"KUBECONFIG": str(plane.kubeconfig), "API_PID": str(plane.api_pid), "ETCD_PID": str(plane.etcd_pid)}


if __name__ == "__main__":
    main(prog_name="python -m tests.controlplane")
