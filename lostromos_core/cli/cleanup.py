"""Implement ``lostromos cleanup``: release resources whose operator or controller is gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click
import rich.markup

from lostromos_core import errors
from lostromos_core.cli import options
from lostromos_core.cli.output import tables
from lostromos_core.kube import cluster
from lostromos_core.kube.ownership import cleanup
from lostromos_core.kube.transport import client

if TYPE_CHECKING:
    from collections.abc import Sequence


EXAMPLE = """\b
Example:
  lostromos cleanup --kind WebApp.example.com --dry-run
"""


@click.command("cleanup", short_help="Release resources whose operator is gone.", epilog=EXAMPLE)
@options.cluster
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    required=True,
    metavar="KIND.GROUP",
    help="The kind of the resources, such as WebApp.example.com. May be repeated.",
)
@click.option(
    "--claimant",
    "claimants",
    multiple=True,
    metavar="CONTROLLER",
    help="Only resources of this controller. May be repeated; all by default.",
)
@click.option(
    "--operator",
    "operators",
    multiple=True,
    metavar="NAMESPACE/NAME",
    help="Only resources of the operator with this identity. May be repeated; all by default.",
)
@click.option("-n", "--namespace", default="", help="Only in this namespace.")
@click.option("--delete-objects", is_flag=True, help="Delete the objects that were applied for them, too.")
@click.option(
    "--force", is_flag=True, help="Include resources whose operator is or may be running; it will claim them again."
)
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def command(
    *,
    kubeconfig: str,
    context: str,
    kinds: tuple[str, ...],
    claimants: tuple[str, ...],
    operators: tuple[str, ...],
    namespace: str,
    delete_objects: bool,
    force: bool,
    dry_run: bool,
    yes: bool,
) -> int:
    """Remove Lostrómos' labels, annotations and finalizers from resources whose operator or controller is gone.

    Their objects stay, unless --delete-objects is given. Resources whose operator runs are left alone: stop it first.
    """

    async def go() -> int:
        async with cluster.Cluster(client.Client(kubeconfig, context=context)) as kube:
            every = [one for kind in kinds for one in await _find(kube, kind, namespace, claimants)]
            found = [one for one in every if not operators or one.operator in operators]
            _show(found)
            if not found or dry_run:
                return 0
            if not yes and not click.confirm(_question(len(found), delete_objects=delete_objects)):
                return 1
            return await _clean(kube, found, delete_objects=delete_objects, force=force)

    return asyncio.run(go())


async def _find(kube: cluster.Cluster, text: str, namespace: str, claimants: Sequence[str]) -> list[cleanup.Claimed]:
    name, _, group = text.partition(".")
    kind = await kube.discovery.by_group_kind(group, name)
    if kind is None:
        where = f"the group {group}" if group else "the core group"
        msg = f"the cluster has no kind {name} in {where}; write KIND.GROUP, such as WebApp.example.com"
        raise click.UsageError(msg)
    return [one async for one in cleanup.find(kube, kind, namespace) if not claimants or one.claimant in claimants]


def _show(found: Sequence[cleanup.Claimed]) -> None:
    console = tables.console()
    if not found:
        console.print("No resource has Lostrómos labels, annotations or finalizers.")
        return
    rows = [
        (
            rich.markup.escape(str(one.ref)),
            rich.markup.escape(one.claimant or "-"),
            rich.markup.escape(one.operator or "-"),
            "yes" if one.has_finalizer else "no",
        )
        for one in found
    ]
    console.print(tables.of(("Resource", "Controller", "Operator", "Finalizer"), rows))


def _question(number: int, *, delete_objects: bool) -> str:
    which, whose = ("this resource", "its") if number == 1 else (f"these {number} resources", "their")
    what = f"and delete {whose} objects" if delete_objects else f"and leave {whose} objects where they are"
    return f"Release {which} {what}?"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


async def _clean(kube: cluster.Cluster, found: Sequence[cleanup.Claimed], *, delete_objects: bool, force: bool) -> int:
    """Release all resources and return the exit code. A resource that fails does not stop the others."""
    failed = deleted = 0
    for one in found:
        try:
            if not force and await cleanup.is_looked_after(kube, one):
                failed += 1
                click.echo(
                    f"{one.ref}: the operator {one.operator} is running; stop it first, or use --force", err=True
                )
                continue
            for child in await cleanup.objects_of(kube, one) if delete_objects else ():
                await cleanup.delete(kube, child)
                deleted += 1
            await cleanup.let_go(kube, one)
        except errors.LostromosError as error:
            failed += 1
            click.echo(f"{one.ref}: {error}", err=True)
    more = f", {_count(deleted, 'object')} deleted" if delete_objects else ""
    click.echo(f"Released {len(found) - failed} of {_count(len(found), 'resource')}{more}.")
    return 1 if failed else 0
