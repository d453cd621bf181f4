"""Resources made to take the operator's time and memory, one after the other, beside healthy ones: in one process."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import re
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests import operators
from tests.bench import processes
from tests.cluster import test_deep as deep_
from tests.controlplane import binaries, errors, waiting
from tests.core.templates import bombs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.controlplane import api as apis
    from tests.controlplane import cluster, crds

HEALTHY: Final = 20
ROUNDS: Final = 10
"""Edits of each healthy resource before the first bomb: 200 figures to compare with."""
MEMORY: Final = 300
"""MiB that the operator's process may have had at most; 205 to 210 as a rule."""
LONGEST: Final = 4_000
"""Characters of a message."""
SLACK: Final = 1.0
"""Seconds below which a slow answer is the machine's: the tests share two cores with others."""
TEMPLATES: Final = (
    "in a list in a loop", "not in a list in a loop", "selectattr in a loop", "sum of lists", "a list that doubles",
    "a text that grows in a loop", "copies of a text that are kept", "large mappings merged", "parts of a list in a loop",
    "sort in a loop", "unique in a loop", "groupby in a loop", "comparing large values", "a matrix",
    "a nested list that doubles, as JSON", "many lines in a loop", "set blocks that double",
    "macros that call themselves twice", "a macro without an end", "includes in a loop", "a recursive loop",
    "YAML in a loop", "JSON in a loop", "join in a loop", "replace in a loop", "title in a loop", "loops in loops",
)  # fmt: skip
CHART: Final = """\
{{ if .Values.say }}{{ fail (printf "%s %s" .Values.say .Values.secret) }}{{ end }}
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}"}
data: {name: {{ .Values.name | default "none" | quote }}}
"""
SCHEMA: Final = {
    "properties": {
        "name": {"type": "string", "pattern": "^(([a-z])+.)+[A-Z]([a-z])+$"},
        "names": {"type": "array", "uniqueItems": True, "items": {"type": "string", "pattern": "^(a|a?)+$"}},
        "tree": {"$ref": "#/definitions/tree"},
    },
    "definitions": {
        "tree": {
            "anyOf": [
                {"type": "string"},
                {"properties": {"left": {"$ref": "#/definitions/tree"}, "right": {"$ref": "#/definitions/tree"}}},
            ]
        }
    },
}


@dataclasses.dataclass(frozen=True)
class Bomb:
    """A resource of the controller ``app``; its condition has the reason, and a message in which ``says`` is found.

    ``deep`` is JSON that stands for the text "DEEP" in the body: no encoder of ours writes it.
    """

    app: str
    body: Callable[[], dict[str, Any]]
    says: str
    reason: str = "RenderFailed"
    deep: str = ""


def spec(**fields: Any) -> dict[str, Any]:
    return {"spec": fields}


def made_for(name: str) -> Bomb:
    """A bomb for the template of that name."""
    return Bomb(
        name.lower().replace(" ", "-").replace(",", ""),
        lambda: spec(x=bombs.BOMBS[name].make()),
        bombs.BOMBS[name].says,
    )


def tree(levels: int) -> Any:
    return {"left": tree(levels - 1), "right": tree(levels - 1)} if levels else 1


BOMBS: Final[dict[str, Bomb]] = {name: made_for(name) for name in TEMPLATES} | {
    "value: a text that is no name": Bomb("plain", lambda: spec(name="a" * 900_000), "metadata.name has 900,000 characters"),
    "value: too much for one object": Bomb("plain", lambda: spec(text="x" * 1_200_000), "too long|too large|bytes", "ApplyFailed"),
    "value: 20,000 fields": Bomb("plain", lambda: spec(fields={f"f{i}": "x" for i in range(20_000)}, text={"a": 1}), "data.text", "ApplyFailed"),
    "value: maps in maps": Bomb("plain", lambda: spec(text="DEEP"), "nested|deep", "Unreadable", deep_.nested(2_000)),
    "value: lists in lists": Bomb("plain", lambda: spec(text="DEEP"), "nested|deep", "Unreadable", deep_.nested(9_000, deep_.LISTS)),
    "regex: a pattern that could be tried for ever": Bomb("chart", lambda: spec(name="a" * 100_000 + "!"), "name", "ApplyFailed"),
    "schema: 20,000 values that do not fit": Bomb("chart", lambda: spec(names=list(range(20_000))), "names", "ApplyFailed"),
    "schema: equal items among many": Bomb("chart", lambda: spec(names=[f"b{i}" for i in range(2_000)]), "names", "ApplyFailed"),
    "schema: a tree with many ways": Bomb("chart", lambda: spec(tree=tree(10), name="x"), "name", "ApplyFailed"),
    "secret: repeated by the chart": Bomb("chart", lambda: spec(say="fails:"), "fails:|`helm template`", "ApplyFailed"),
    "secret: its lines among 900,000 letters": Bomb("chart", lambda: spec(say="line 000" * 110_000), "line 000|`helm template`", "ApplyFailed"),
    "metadata: annotations with 250,000 letters": Bomb("plain", lambda: {"metadata": {"annotations": {"example.com/a": "[" * 250_000}}, **spec(name="A")}, "metadata.name", "ApplyFailed"),
    "metadata: 500 labels": Bomb("plain", lambda: {"metadata": {"labels": {f"example.com/l{i}": "x" * 63 for i in range(500)}}, **spec(name="A")}, "metadata.name", "ApplyFailed"),
    "metadata: 4,000 annotations": Bomb("plain", lambda: {"metadata": {"annotations": {f"example.com/a{i}": "x" * 40 for i in range(4_000)}}, **spec(name="A")}, "metadata.name", "ApplyFailed"),
}  # fmt: skip
PLAIN: Final = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ resource.spec.name | default(resource.metadata.name) }}"}
data:
  text: {{ resource.spec.text | default("nothing") }}
  fields: "{{ resource.spec.fields | default({}) | to_json }}"
"""


def write(folder: Path, kind: crds.CustomKind) -> operators.Project:
    """An operator with a controller for each template, one for the chart, and one for the rest."""
    project = operators.Project(folder)
    controllers = []
    for name in TEMPLATES:
        app, bomb = made_for(name).app, bombs.BOMBS[name]
        (folder / app).mkdir()
        (folder / app / "a.yaml").write_text("{% set x = resource.spec.x %}" + bombs.HEAD + bomb.template)
        for file, text in bomb.files.items():
            (folder / app / file).write_text(text)
        controllers.append(controller(kind, app, {"jinja": {"templates": app}}, {"server-side": {}}))
    project.template("a.yaml", PLAIN)
    controllers.append(controller(kind, "plain", {"jinja": {"templates": "templates"}}, {"server-side": {}}))
    chart = folder / "chart" / "templates"
    chart.mkdir(parents=True)
    (chart.parent / "Chart.yaml").write_text("apiVersion: v2\nname: chart\nversion: 1.0.0\n")
    (chart.parent / "values.schema.json").write_text(json.dumps(SCHEMA))
    (chart / "a.yaml").write_text(CHART)
    options = {"chart": "chart", "binary": str(binaries.helm("helm-4")), "cache": str(folder / "cache")}
    controllers.append(controller(kind, "chart", {"values": {"layout": "spec", "vars": "above"}}, {"helm": options}))
    project.write({"controllers": controllers, "vars": {"secret": "\n".join(f"line {i:06d}" for i in range(800))}})
    return project


def controller(kind: crds.CustomKind, app: str, render: dict[str, Any], apply: dict[str, Any]) -> dict[str, Any]:
    return {**operators.controller(kind, name=app, watch={"labels": f"app={app}"}, apply=apply), "render": render}


@dataclasses.dataclass
class World:
    """One namespace with healthy resources and bombs."""

    api: apis.Api
    kind: crds.CustomKind
    namespace: str
    count: itertools.count[int]

    def create(self, name: str, bomb: Bomb) -> None:
        body = bomb.body()
        metadata = body.get("metadata", {})
        labels = {**metadata.get("labels", {}), "app": bomb.app}
        made = self.kind.manifest(name, spec=body["spec"], **{**metadata, "labels": labels})
        deep_.send(self.api, self.kind.path(self.namespace), made, bomb.deep or '""')

    def edit(self, number: int) -> float:
        """Edit a healthy resource; seconds until its object says so."""
        text, name = str(next(self.count)), f"healthy-{number}"
        begin = time.perf_counter()
        self.api.patch(self.kind.path(self.namespace, name), {"spec": {"text": text}})
        path = f"/api/v1/namespaces/{self.namespace}/configmaps/{name}"
        waiting.wait_until(lambda: self.api.get(path)["data"]["text"] == text, timeout=60, interval=0.003)
        return time.perf_counter() - begin

    def outcome(self, name: str, what: str) -> dict[str, Any]:
        """The condition Ready of a bomb, when the operator is done with it."""

        def done() -> dict[str, Any]:
            found = self.says(name)
            return found if found.get("reason", "Reconciling") != "Reconciling" else {}

        try:
            return waiting.wait_until(done, timeout=120, message=what)
        except TimeoutError as error:
            text = self.api.send_text("GET", self.kind.path(self.namespace, name))
            error.add_note(f"{text[:2000]} ... {text[-2000:]}")
            raise

    def remove(self, name: str) -> None:
        path = self.kind.path(self.namespace, name)
        self.api.send_text("DELETE", path)
        waiting.wait_until(lambda: not self.exists(path), timeout=120, message="it is gone")

    def exists(self, path: str) -> bool:
        """Whether there is an object, without decoding it."""
        try:
            self.api.send_text("GET", path)
        except errors.ApiError as error:
            if error.status != 404:
                raise
            return False
        return True

    def says(self, name: str) -> dict[str, Any]:
        """The condition Ready of a bomb."""
        return deep_.ready(self.api, self.kind.path(self.namespace, name))


def p99(seconds: Sequence[float]) -> float:
    return sorted(seconds)[math.ceil(0.99 * len(seconds)) - 1]


@pytest.mark.timeout(900)
def test_no_bomb_keeps_the_healthy_waiting_and_each_is_told_what_to_change(
    tmp_path: Path,
    control_plane: cluster.ControlPlane,
    api: apis.Api,
    crd: crds.CustomKind,
    namespace: str,
    record_property: Callable[[str, object], None],
) -> None:
    world = World(api, crd, namespace, itertools.count())
    healthy = Bomb("plain", lambda: spec(text="fine"), "")
    for number in range(HEALTHY):
        world.create(f"healthy-{number}", healthy)
    with operators.Operator(
        write(tmp_path, crd), control_plane.kubeconfig, "--log-format=text", covered=False
    ) as operator:
        operator.says("controller started", times=len(TEMPLATES) + 2)
        for number in range(HEALTHY):
            world.outcome(f"healthy-{number}", "healthy")
        before = [world.edit(number) for _ in range(ROUNDS) for number in range(HEALTHY)]
        meanwhile: list[float] = []
        wrong = {}
        for name, bomb in BOMBS.items():
            world.create("bomb", bomb)
            meanwhile += [world.edit(number) for number in range(HEALTHY)]
            found = world.outcome("bomb", name)
            if (
                found["reason"] != bomb.reason
                or not re.search(bomb.says, found["message"])
                or len(found["message"]) > LONGEST
            ):
                wrong[name] = (found["reason"], found["message"][:300])
            world.remove("bomb")
        assert wrong == {}
        record_property("p99", (p99(before), p99(meanwhile)))
        print(
            f"p99 {p99(before):.3f} s before, {p99(meanwhile):.3f} s beside bombs, {processes.peak_mib(operator.pid):.0f} MiB"
        )
        assert p99(meanwhile) <= max(2 * p99(before), SLACK)
        assert processes.peak_mib(operator.pid) <= MEMORY
        assert operator.running
        assert "a bug" not in operator.log
        assert "line 000001" not in operator.log
