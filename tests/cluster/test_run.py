"""``lostromos run`` as a command: what it says when something is wrong, ``--once``, ``--dry-run``, log formats."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import operators
from tests.controlplane import crds, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.controlplane import api as apis
    from tests.controlplane import cluster

HOUSE_RULES = Path(__file__).parents[2] / "examples" / "house-rules" / "house_rules.py"


def run(made: operators.Project, *arguments: str, **environment: str) -> tuple[int, str]:
    done = operators.lostromos("run", "-c", str(made.config), *arguments, stdin="", **environment)
    return done.returncode, done.stdout + done.stderr


def edit(made: operators.Project, old: str, new: str) -> None:
    text = made.config.read_text()
    assert old in text
    made.config.write_text(text.replace(old, new))


BROKEN: dict[str, tuple[Callable[[operators.Project], object], tuple[str, ...]]] = {
    "unknown key": (
        lambda p: edit(p, "kind: WebApp", "kimd: WebApp"),
        ("controllers[0].watch.kubernetes.kimd", "did you mean 'kind'"),
    ),
    "unknown applier": (
        lambda p: edit(p, "server-side", "servr-side"),
        ("lostromos.yaml:1", "there is no applier 'servr-side'", "did you mean 'server-side'"),
    ),
    "applier without its chart": (
        lambda p: edit(p, "server-side", "helm"),
        ("lostromos.yaml:1", "controllers[0].apply.helm", "name a `chart`"),
    ),
    "wrong type": (
        lambda p: edit(p, "controllers:", "workers: many\ncontrollers:"),
        ("lostromos.yaml:1: workers: ", "integer"),
    ),
    "no YAML": (lambda p: p.config.write_text("controllers: [\n"), ("lostromos.yaml:2", "not valid YAML")),
    "no mapping": (lambda p: p.config.write_text("- 1\n"), ("lostromos.yaml:1", "expected a mapping")),
    "key twice": (
        lambda p: edit(p, "name: app", "name: app\n  name: app"),
        ("lostromos.yaml:3: controllers[0].name: the key is repeated",),
    ),
    "bad name": (lambda p: edit(p, "name: app", "name: My App"), ("lower-case letters",)),
    "undeclared variable": (
        lambda p: edit(p, "name: app", "name: ${NAME}"),
        ("${NAME} is not declared", "environment"),
    ),
    "missing file": (lambda p: p.config.unlink(), ("there is no such file",)),
    "missing template folder": (
        lambda p: edit(p, "templates: templates", "templates: tmplates"),
        ("tmplates does not exist",),
    ),
    "empty template folder": (lambda p: (p.folder / "templates" / "config.yaml").unlink(), ("has no template",)),
    "template syntax": (
        lambda p: p.template("config.yaml", "a: 1\nb: {{ x\n"),
        ("templates/config.yaml:2: not a valid template",),
    ),
    "unknown filter": (
        lambda p: p.template("config.yaml", "a: 1\nb: {{ x | shout }}\n"),
        ("templates/config.yaml:2", "shout"),
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_configuration_is_named_with_the_way_out(
    case: str, tmp_path: Path, control_plane: cluster.ControlPlane, crd: crds.CustomKind
) -> None:
    made = operators.project(tmp_path, crd)
    spoil, says = BROKEN[case]
    spoil(made)
    status, output = run(made, f"--kubeconfig={control_plane.kubeconfig}")
    assert status == 3, output
    for text in says:
        assert text in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "does not exist"), ("kind: Config\n", "cannot be used"), ("[", "cannot be used"), ("", "cannot be used")],
)
def test_an_unusable_kubeconfig_is_named(text: str | None, says: str, tmp_path: Path, crd: crds.CustomKind) -> None:
    made = operators.project(tmp_path, crd)
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    status, output = run(made, KUBECONFIG=str(path))
    assert status == 3, output
    assert str(path) in output
    assert says in output
    assert "Traceback" not in output


def test_no_cluster_at_all_is_said(tmp_path: Path, crd: crds.CustomKind) -> None:
    status, output = run(operators.project(tmp_path, crd), KUBECONFIG="", HOME=str(tmp_path))
    assert status == 3
    assert "--kubeconfig" in output


def test_wrong_usage_has_its_own_exit_code(tmp_path: Path, crd: crds.CustomKind) -> None:
    status, output = run(operators.project(tmp_path, crd), "--onse")
    assert status == 2
    assert "--once" in output


def test_once_reconciles_everything_and_prints_a_table(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    made = operators.project(tmp_path, crd)
    status, output = run(made, "--once", f"--kubeconfig={control_plane.kubeconfig}")
    assert (status, "No resources" in output) == (0, True)
    api.create(crd.path(namespace), crd.manifest("good", spec={"text": "1"}))
    status, output = run(made, "--once", f"--kubeconfig={control_plane.kubeconfig}")
    assert status == 0, output
    assert f"{namespace}/good" in output
    assert "1 object up to date" in output
    api.create(crd.path(namespace), crd.manifest("bad", spec={"text": ["no", "text"]}))
    status, output = run(made, "--once", f"--kubeconfig={control_plane.kubeconfig}")
    assert status == 1
    assert "ApplyFailed" in output
    assert "templates/config.yaml:5" in output


def test_once_prints_rows_that_are_not_wrapped_where_a_program_reads_them(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    made = operators.project(tmp_path, crd)
    api.create(crd.path(namespace), crd.manifest("web", spec={"text": "1"}))
    arguments = ("--once", "--dry-run", f"--kubeconfig={control_plane.kubeconfig}")
    status, output = run(made, *arguments, COLUMNS="40")
    assert status == 0, output
    assert re.search(rf"^ *app +{namespace}/web +True +Applied +1 object up to date *$", output, re.MULTILINE)
    assert "\nDry run: nothing was kept.\n" in output
    done = operators.lostromos("run", "-c", str(made.config), *arguments, "-o", "json")
    found = json.loads(done.stdout)
    assert (found["ready"], found["dryRun"], found["troubles"]) == (True, True, [])
    (row,) = found["resources"]
    assert (row["controller"], row["resource"], row["ready"], row["reason"]) == (
        "app",
        f"{namespace}/web",
        True,
        "Applied",
    )
    assert [(item["kind"], item["name"], item["action"]) for item in row["objects"]] == [
        ("ConfigMap", "web", "created")
    ]


def test_once_has_a_row_for_what_it_deleted_and_released(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    made = operators.project(
        tmp_path, crd, apply={"server-side": {"finalizer": "always"}}, watch={"annotation": "stay=yes"}
    )
    arguments = ("--once", f"--kubeconfig={control_plane.kubeconfig}")
    for name in ("goes", "leaves"):
        api.create(crd.path(namespace), crd.manifest(name, annotations={"stay": "yes"}, spec={"text": "1"}))
    assert run(made, *arguments)[0] == 0
    api.delete(crd.path(namespace, "goes"))
    api.patch(crd.path(namespace, "leaves"), {"metadata": {"annotations": {"stay": "no"}}})
    status, output = run(made, *arguments)
    assert status == 0, output
    assert re.search(rf"{namespace}/goes +- +Deleted +its objects are gone", output)
    assert re.search(rf"{namespace}/leaves +- +Released +it left the selection", output), output


def test_once_tells_controllers_without_resources_from_those_in_trouble(
    tmp_path: Path, control_plane: cluster.ControlPlane, crd: crds.CustomKind
) -> None:
    made = operators.project(tmp_path, crd)
    other = crds.CustomKind(group=crd.group, kind="Other")
    made.write({"controllers": [operators.controller(crd, name="idle"), operators.controller(other, name="lost")]})
    status, output = run(made, "--once", f"--kubeconfig={control_plane.kubeconfig}")
    assert status == 1
    assert "No resources for idle.\n" in output
    assert "lost: the cluster has no kind Other" in output


def test_once_says_what_cannot_be_watched(
    tmp_path: Path, control_plane: cluster.ControlPlane, crd: crds.CustomKind
) -> None:
    made = operators.project(tmp_path, crd)
    edit(made, "kind: WebApp", "kind: WebbApp")
    status, output = run(made, "--once", f"--kubeconfig={control_plane.kubeconfig}")
    assert status == 1
    assert "the cluster has no kind WebbApp" in output
    status, output = run(made, "--once", f"--kubeconfig={control_plane.kubeconfig_of('developer')}")
    assert status == 1


def test_missing_rights_are_said_with_the_way_out(
    tmp_path: Path, control_plane: cluster.ControlPlane, crd: crds.CustomKind
) -> None:
    made = operators.project(tmp_path, crd)
    with operators.Operator(made, control_plane.kubeconfig_of("operator")) as operator:
        operator.says("forbidden")
        operator.says("give the operator the verbs get, list and watch on WebApp")


def test_a_cluster_that_is_not_there_is_said_and_waited_for(
    tmp_path: Path, control_plane: cluster.ControlPlane, crd: crds.CustomKind
) -> None:
    made = operators.project(tmp_path, crd)
    text = control_plane.kubeconfig.read_text().replace(control_plane.url, "https://127.0.0.1:1")
    nowhere = tmp_path / "kubeconfig"
    nowhere.write_text(text)
    with operators.Operator(made, nowhere) as operator:
        operator.says("cannot be reached")
        assert operator.running


def test_a_dry_run_keeps_nothing(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    made = operators.project(tmp_path, crd)
    api.create(crd.path(namespace), crd.manifest("web", spec={"text": "1"}))
    before = api.get(crd.path(namespace, "web"))
    status, output = run(made, "--once", "--dry-run", f"--kubeconfig={control_plane.kubeconfig}")
    assert status == 0, output
    assert api.get(crd.path(namespace, "web")) == before
    assert not api.exists(f"/api/v1/namespaces/{namespace}/configmaps/web")


def test_logs_can_be_json(tmp_path: Path, control_plane: cluster.ControlPlane, crd: crds.CustomKind) -> None:
    made = operators.project(tmp_path, crd)
    with operators.Operator(made, control_plane.kubeconfig, "--log-format=json") as operator:
        operator.says("all resources are known")
        operator.stop()
    lines = [json.loads(line) for line in operator.log.splitlines()]
    known = next(line for line in lines if line["event"] == "all resources are known")
    assert {"event", "level", "timestamp", "controller"} <= set(known)


def test_logs_are_json_with_plug_ins_too_and_tell_failures_once_and_recoveries(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    made = operators.project(tmp_path, crd)
    monkeypatch.setenv("PYTHONPATH", operators.with_plugin(HOUSE_RULES, tmp_path / "site"))
    with operators.Operator(made, control_plane.kubeconfig, "--log-format=json", "--log-level=debug") as operator:
        api.create(crd.path(namespace), crd.manifest("web", spec={"text": ["no", "text"]}))
        operator.says("house-rules")
        api.patch(crd.path(namespace, "web"), {"metadata": {"annotations": {"a": "b"}}})
        operator.says('"reconciled"', times=2)
        api.patch(crd.path(namespace, "web"), {"spec": {"text": "1"}})
        operator.says('"ready"')
        assert operator.stop() == 0
    lines = [json.loads(line) for line in operator.log.splitlines()]
    assert lines[-1]["event"] == "stopped"
    assert {"created", "seconds"} <= set().union(*(line for line in lines if line["event"] == "reconciled"))
    assert [
        line["resource"] for line in lines if line.get("reason") == "ApplyFailed" and line["level"] == "warning"
    ] == [f"{namespace}/web"]


def test_variables_come_from_everywhere(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    template = operators.CONFIG_MAP.replace(
        '{{ resource.spec.text | default("nothing") }}',
        "{{ [vars.a, vars.b, vars.c, vars.d, vars.e.f, vars.s.g] | to_json }}",
    )
    made = operators.project(
        tmp_path,
        crd,
        templates={"config.yaml": template},
        environment={"FROM_ENV": "default"},
        vars={"a": "literal", "b": "${FROM_ENV}$$"},
        varsFrom=[
            {"environment": {"c": "ANOTHER"}},
            {"file": "more.yaml"},
            {"configMap": {"namespace": namespace, "name": "settings"}, "under": "e"},
            {"secret": {"namespace": namespace, "name": "settings"}, "under": "s"},
            {"configMap": {"namespace": namespace, "name": "absent", "optional": True}},
        ],
    )
    (tmp_path / "more.yaml").write_text("d: file\n")
    kubeconfig = f"--kubeconfig={control_plane.kubeconfig}"
    status, output = run(made, "--once", kubeconfig)
    assert (status, "ANOTHER is not set" in output) == (3, True)
    status, output = run(made, "--once", kubeconfig, ANOTHER="env")
    assert (status, "varsFrom[2].configMap" in output) == (3, True)
    api.create(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "settings"}, "data": {"f": "map"}})
    api.create(
        f"/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": "settings"}, "stringData": {"g": "secret"}}
    )
    api.create(crd.path(namespace), crd.manifest("web"))
    status, output = run(made, "--once", kubeconfig, ANOTHER="env", FROM_ENV="given")
    assert status == 0, output
    found = waiting.wait_until(lambda: api.get(f"/api/v1/namespaces/{namespace}/configmaps/web"))
    assert json.loads(found["data"]["text"]) == ["literal", "given$", "env", "file", "map", "secret"]
