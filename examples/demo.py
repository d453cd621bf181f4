"""The demonstration behind ``make demo``: one custom resource becomes eight objects, changes, and goes.

Needs $KUBECONFIG of a cluster to play with; ``make demo`` starts a fresh control plane on this machine for it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import rich.box
import rich.console
import rich.table

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent / "access-control"
BESIDE = Path(sys.executable).parent
KINDS = "configmaps,secrets,serviceaccounts,deployments,poddisruptionbudgets,services,ingresses,networkpolicies"
EVIL = "hi\n---\nkind: ClusterRoleBinding"
WITHIN = 60.0
SVG = re.sub(r"@font-face \{\{.*?\}\}\s*", "", rich.console.CONSOLE_SVG_FORMAT, flags=re.DOTALL)
"""Rich's picture without fonts from somewhere else: whoever looks at it asks nobody for anything."""


class Demo:
    """The steps, and how they look on a terminal."""

    def __init__(self, console: rich.console.Console) -> None:
        self._console = console
        self._operator: subprocess.Popen[bytes] | None = None

    def play(self) -> None:
        """All steps; raises SystemExit if one of them does not work."""
        self._title("Operations prepare the cluster: the kind WebApp, a team's namespace, rights, a Secret")
        self._kubectl("apply", "--filename", str(HERE / "cluster"), quiet=True)
        self._kubectl("wait", "--for=condition=Established", "crd/webapps.example.com", quiet=True)
        self._show_template()
        self._start()
        try:
            self._create()
            self._show_rights()
            self._update()
            self._delete()
        finally:
            self._stop()
        self._console.print("\n[bold green]It worked.[/] Next: docs/tutorial/first-operator.md\n")

    def _show_template(self) -> None:
        self._title("Operations write templates, one for each kind of object; the ConfigMap's begins so")
        lines = (HERE / "templates" / "config.yaml").read_text().splitlines()
        self._print(*lines[1:8], style="cyan")

    def _create(self) -> None:
        self._title("A developer creates nine lines, and waits until they are Ready")
        self._print(*(HERE / "webapp.yaml").read_text().splitlines(), style="cyan")
        self._kubectl("--as=developer", "apply", f"--filename={HERE / 'webapp.yaml'}", quiet=True)
        self._wait("the WebApp is Ready", lambda: self._ready(generation=1))
        self._kubectl("--as=developer", "get", "webapps", "--namespace=team-a")
        self._title("What the operator made of it, with what only operations know")
        self._show_objects()

    def _show_rights(self) -> None:
        self._title("The developer could not have done that")
        table = rich.table.Table("May the developer ...", "Answer", box=rich.box.SIMPLE_HEAD)
        for verb, what, namespace in (
            ("create", "webapps", "team-a"),
            ("create", "deployments", "team-a"),
            ("get", "secrets", "platform"),
        ):
            answer = self._kubectl(
                "auth", "can-i", verb, what, f"--namespace={namespace}", "--as=developer", quiet=True, check=False
            )
            table.add_row(f"{verb} {what} in {namespace}?", answer.strip())
            self._expect(answer.strip() == ("yes" if what == "webapps" else "no"), f"{verb} {what}: {answer}")
        self._console.print(table)

    def _update(self) -> None:
        self._title("An update: more replicas, and a text that would be YAML elsewhere")
        patch = {"spec": {"replicas": 5, "motto": EVIL}}
        change = json.dumps(patch)
        self._print(f"--patch {change}", style="cyan")
        self._kubectl(
            "--as=developer",
            "patch",
            "webapp/shop",
            "--namespace=team-a",
            "--type=merge",
            f"--patch={change}",
            quiet=True,
        )
        self._wait("the update is Ready", lambda: self._ready(generation=2))
        replicas = self._read("deployment/shop", "{.spec.replicas}")
        motto = self._read("configmap/shop", "{.data.MOTTO}")
        self._print(
            f"deployment/shop  spec.replicas = {replicas}", f"configmap/shop   data.MOTTO    = {json.dumps(motto)}"
        )
        self._expect(replicas == "5", "the Deployment did not follow")
        self._expect(motto == EVIL, "the text did not arrive as it was")

    def _delete(self) -> None:
        self._title("The WebApp is deleted, and everything goes with it")
        self._kubectl("--as=developer", "delete", "webapp/shop", "--namespace=team-a")
        self._wait("everything is gone", lambda: not self._objects())
        self._console.print(f"objects left: {len(self._objects())}")

    def _show_objects(self) -> None:
        table = rich.table.Table("Kind", "Name", "Worth a look", box=rich.box.SIMPLE_HEAD)
        worth = {
            "Deployment": lambda o: o["spec"]["template"]["spec"]["containers"][0]["image"],
            "Ingress": lambda o: f"{o['spec']['rules'][0]['host']} ({o['spec']['ingressClassName']})",
            "ConfigMap": lambda o: o["data"]["MOTTO"],
            "Secret": lambda o: ", ".join(o["data"]),
        }
        found = self._objects()
        for item in found:
            look = worth.get(item["kind"], lambda _: "")
            table.add_row(item["kind"], item["metadata"]["name"], look(item))
        self._console.print(table)
        self._expect(len(found) == 8, f"expected 8 objects, found {len(found)}")  # noqa: PLR2004 - the title says it

    def _objects(self) -> list[dict[str, object] | dict[str, dict[str, str]]]:
        """The objects that belong to the WebApp; those that others made in the namespace do not carry its label."""
        text = self._kubectl(
            "get", KINDS, "--namespace=team-a", "--selector=app.kubernetes.io/name=shop", "--output=json", quiet=True
        )
        items: list[dict[str, object] | dict[str, dict[str, str]]] = json.loads(text)["items"]
        return items

    def _ready(self, *, generation: int) -> bool:
        path = '{.status.observedGeneration} {.status.conditions[?(@.type=="Ready")].status}'
        return self._read("webapp/shop", path) == f"{generation} True"

    def _read(self, what: str, path: str) -> str:
        return self._kubectl("get", what, "--namespace=team-a", f"--output=jsonpath={path}", quiet=True, check=False)

    def _start(self) -> None:
        admin = Path(os.environ["KUBECONFIG"])
        own = admin.with_name("operator.kubeconfig")
        kubeconfig = own if own.exists() else admin
        self._title(f"The operator starts{' as the user operator, with few rights' if own.exists() else ''}")
        config = HERE / "lostromos.yaml"
        command = [str(BESIDE / "lostromos"), "run", f"--config={config}", f"--kubeconfig={kubeconfig}"]
        self._console.print("$ lostromos run --config examples/access-control/lostromos.yaml", style="bold")
        self._operator = subprocess.Popen(command)  # noqa: S603 - our own program

    def _stop(self) -> None:
        if self._operator is None:
            return
        self._title("The operator ends on SIGTERM")
        self._operator.send_signal(signal.SIGTERM)
        status = self._operator.wait(25)
        self._console.print(f"exit status: {status}")
        self._expect(status == 0, "the operator should have ended with 0")

    def _kubectl(self, *arguments: str, quiet: bool = False, check: bool = True) -> str:
        """Run kubectl; shows the command and its output unless it is quiet."""
        own = BESIDE / "kubectl"
        done = subprocess.run(  # noqa: S603 - kubectl
            [str(own) if own.exists() else "kubectl", *arguments], capture_output=True, text=True, check=False
        )
        if not quiet:
            self._print(f"$ kubectl {' '.join(arguments)}", style="bold")
            self._print(done.stdout.rstrip())
        self._expect(done.returncode == 0 or not check, done.stderr)
        return done.stdout

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        started = time.monotonic()
        with self._console.status(f"waiting until {what} ..."):
            while not condition():
                self._expect(time.monotonic() - started < WITHIN, f"waited {WITHIN:g} s until {what}")
                time.sleep(0.05)
        self._console.print(f"{what}, after {time.monotonic() - started:.1f} s", style="green")

    def _title(self, text: str) -> None:
        self._console.print()
        self._print(f"# {text}", style="bold yellow")

    def _print(self, *lines: str, style: str = "") -> None:
        """Lines as they are: rich reads nothing into them."""
        for line in lines:
            self._console.print(line, style=style, markup=False)

    def _expect(self, condition: bool, otherwise: str) -> None:  # noqa: FBT001 - reads like a sentence
        if not condition:
            self._console.print("[bold red]The demo failed:[/]", end=" ")
            self._print(otherwise)
            sys.exit(1)


@click.command()
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False), help="Save the session as an SVG picture.")
def main(*, picture: Path | None) -> None:
    """Play the demonstration on the cluster of $KUBECONFIG."""
    if "KUBECONFIG" not in os.environ:
        message = "KUBECONFIG is not set; run `make demo`, or name a cluster to play with"
        raise click.UsageError(message)
    console = rich.console.Console(record=picture is not None, width=100 if picture else None, highlight=False)
    Demo(console).play()
    if picture:
        picture.parent.mkdir(parents=True, exist_ok=True)
        console.save_svg(str(picture), title="make demo", code_format=SVG)


if __name__ == "__main__":
    main()
