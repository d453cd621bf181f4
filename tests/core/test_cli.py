"""The commands that need no cluster, as their users run them."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest
import yaml

from lostromos_core.cli import app, cleanup
from tests import operators
from tests.controlplane import crds

if TYPE_CHECKING:
    from pathlib import Path

KIND = crds.CustomKind(group="example.com")


def render(made: operators.Project, text: str, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
    path = made.folder / "cr.yaml"
    path.write_text(text)
    done = operators.lostromos(
        "render", "-c", str(made.config), "-f", "-" if stdin else str(path), *arguments, stdin=stdin
    )
    return done.returncode, done.stdout, done.stderr


CR = "apiVersion: example.com/v1\nkind: WebApp\nmetadata: {name: web, namespace: ns}\nspec: {text: 'a: b'}\n"


def test_render_prints_the_objects_as_yaml_or_json(tmp_path: Path) -> None:
    made = operators.project(tmp_path, KIND)
    status, output, _ = render(made, CR)
    expected = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"text": "a: b"}}
    assert (status, yaml.safe_load(output)) == (0, expected)
    status, output, _ = render(made, CR, "-o", "json")
    assert (status, json.loads(output)) == (0, [expected])
    status, output, _ = render(made, f"{CR}---\n{CR}")
    assert (status, list(yaml.safe_load_all(output))) == (0, [expected, expected])
    status, output, _ = render(
        made, "", "-o", "json", stdin=json.dumps({"kind": "List", "items": [yaml.safe_load(CR)]})
    )
    assert (status, json.loads(output)) == (0, [expected])


def test_render_exits_with_one_and_the_place_if_a_template_fails(tmp_path: Path) -> None:
    made = operators.project(tmp_path, KIND, templates={"a.yaml": operators.CONFIG_MAP.replace("text |", "txt.x |")})
    status, output, problems = render(made, CR)
    assert (status, output) == (1, "")
    assert "a.yaml:5: there is no field 'txt'" in problems.replace("\n", " ")


def test_render_takes_variables_from_given_objects(tmp_path: Path) -> None:
    made = operators.project(
        tmp_path, KIND, templates={"a.yaml": operators.CONFIG_MAP.replace("resource.spec.text", "vars.token")},
        varsFrom=[{"secret": {"namespace": "ns", "name": "s"}}],
    )  # fmt: skip
    objects = tmp_path / "objects.yaml"
    objects.write_text("kind: Secret\nmetadata: {name: s, namespace: ns}\nstringData: {token: t0ken}\n")
    status, output, _ = render(made, CR, "--objects", str(objects))
    assert (status, yaml.safe_load(output)["data"]) == (0, {"text": "t0ken"})
    status, _, problems = render(made, CR)
    assert (status, "--objects" in problems) == (3, True)


@pytest.mark.parametrize(
    ("text", "arguments", "says"),
    [("a: 1", (), "needs apiVersion, kind and metadata.name"), ("[", (), "not valid YAML"), (CR.replace("name: web", "name: 1"), (), "must be a string"),
     (CR.replace("kind: WebApp", "kind: Other"), (), "no controller watches Other of example.com/v1"),
     (CR.replace("namespace: ns", "namespace: 5"), (), "cr.yaml: metadata.namespace must be a string"), (CR.replace("namespace: ns", "namespace: 0"), (), "metadata.namespace must"),
     (CR.replace("namespace: ns", "labels: [a]"), (), "cr.yaml: metadata.labels must be a mapping"), (CR.replace("namespace: ns", "annotations: abc"), (), "metadata.annotations must be"),
     (CR.replace("namespace: ns", "labels: {a: 1}"), (), "metadata.labels.a must be a string"), (CR.replace("{name: web, namespace: ns}", "5"), (), "cr.yaml: metadata must be a mapping"),
     (CR.replace("'a: b'", "9" * 5000), (), "cr.yaml:4: spec.text: 9999999999... has more than 64 bits"), (CR.replace("'a: b'", '"\\U00110000"'), (), "cr.yaml:4: not valid YAML"),
     (CR.replace("'a: b'", '"\\ud83d"'), (), "cr.yaml:4: spec.text: a \\u escape is half of a pair"), ("", (), "cr.yaml: contains no resource"), ("# nothing\n---\n", (), "contains no resource"),
     ("items: [a, 1]", (), "cr.yaml: items[0]: expected an object with apiVersion"), (CR, ("-f", "nope.yaml"), "nope.yaml: there is no such file"), (CR, ("-f", "."), ".: cannot be read: is a directory"),
     ("- 1", (), "a document must be an object"), (CR, ("--controller", "ap"), "did you mean 'app'"), (CR, ("--objects", "absent"), "does not exist"), (CR, ("-o", "xml"), "xml")],
)  # fmt: skip
def test_render_refuses_wrong_usage(text: str, arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    status, _, problems = render(operators.project(tmp_path, KIND), text, *arguments)
    assert status == 2
    assert says in problems


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("items: [{}, a, 1]", "objects.yaml: items[1]: expected an object with apiVersion, kind and metadata"),
        ("kind: Secret\nmetadata: 5\n", "objects.yaml: metadata must be a mapping"),
        ("kind: Secret\nmetadata: {name: s, namespace: [ns]}\n", "metadata.namespace must be a string"),
    ],
)
def test_render_refuses_objects_that_are_none(text: str, says: str, tmp_path: Path) -> None:
    made = operators.project(tmp_path, KIND, varsFrom=[{"secret": {"namespace": "ns", "name": "s"}}])
    objects = tmp_path / "objects.yaml"
    objects.write_text(text)
    status, _, problems = render(made, CR, "--objects", str(objects))
    assert (status, says in problems.replace("\n", " ")) == (2, True), problems


def test_render_takes_json_as_programs_write_it(tmp_path: Path) -> None:
    made = operators.project(tmp_path, KIND)
    resource = yaml.safe_load(CR) | {"spec": {"text": "\N{GRINNING FACE}"}}
    status, output, problems = render(made, json.dumps(resource, indent="\t"), "-o", "json")
    assert (status, problems) == (0, "")
    assert json.loads(output)[0]["data"] == {"text": "\N{GRINNING FACE}"}


def test_render_chooses_the_controller_by_kind_or_by_name(tmp_path: Path) -> None:
    made = operators.project(tmp_path, KIND)
    other = crds.CustomKind(group="example.com", kind="Other")
    made.write(
        {
            "controllers": [
                operators.controller(KIND, name="one"),
                operators.controller(other, name="two"),
                operators.controller(KIND, name="three"),
            ]
        }
    )
    assert render(made, CR.replace("WebApp", "Other"))[0] == 0
    status, _, problems = render(made, CR)
    assert (status, "2 controllers watch WebApp" in problems) == (2, True)
    assert render(made, CR, "--controller", "one")[0] == 0


def test_plugins_lists_what_is_installed() -> None:
    done = operators.lostromos("plugins", "-o", "json")
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["kubectl"]["provides"] == ["applier server-side", "applier kubectl"]
    assert rows["helm"] == {
        "name": "helm",
        "distribution": "lostromos-helm",
        "version": rows["core"]["version"],
        "provides": ["renderer helm-template", "applier helm"],
    }
    table = operators.lostromos("plugins").stdout
    assert "lostromos-kubectl" in table


def test_plug_ins_can_be_disabled_for_a_command_and_in_the_configuration(tmp_path: Path) -> None:
    listed = json.loads(operators.lostromos("plugins", "-o", "json", "-p", "no:helm", "-p", "no:kubectl").stdout)
    assert [row["name"] for row in listed] == ["core"]
    assert '"helm-template"' not in operators.lostromos("schema", "-p", "no:helm").stdout
    made = operators.project(tmp_path, KIND)
    status, _, problems = render(made, CR, "-p", "no:kubectl")
    assert status == 3
    said = " ".join(problems.split())
    assert "no plug-in that is loaded provides the applier 'server-side'; these are disabled: kubectl" in said
    made = operators.project(tmp_path, KIND, plugins={"disable": ["helm", "hlm"]})
    status, output, problems = render(made, CR)
    assert (status, yaml.safe_load(output)["kind"]) == (0, "ConfigMap")
    assert re.search(
        r"Warning: .*lostromos.yaml:\d+: plugins.disable\[1\]: no plug-in 'hlm' is installed; did", problems
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("helm", "'helm' does not have the form no:NAME"),
        ("no:hlm", "no plug-in 'hlm' is installed (available: core, helm, kubectl); did you mean 'helm'?"),
    ],
)
def test_a_plug_in_that_cannot_be_disabled_is_wrong_usage(given: str, says: str) -> None:
    done = operators.lostromos("plugins", "-p", given)
    assert done.returncode == 2
    assert says in " ".join(re.sub(r"[│╭╰─╮╯]", " ", done.stderr).split())


def test_version_schema_and_help() -> None:
    assert operators.lostromos("version").stdout.startswith("lostromos-core ")
    assert json.loads(operators.lostromos("schema").stdout)["title"] == "lostromos.yaml"
    assert operators.lostromos("--version").stdout.startswith("lostromos, version ")
    help_text = operators.lostromos("--help").stdout
    for command in ("run", "render", "plugins", "version", "schema"):
        assert command in help_text
        assert operators.lostromos(command, "--help").returncode == 0


def test_version_names_libraries_and_programs() -> None:
    names = [line.rpartition(" (")[0] or line for line in operators.lostromos("version").stdout.splitlines()]
    for name in ("python kubernetes client", "pydantic", "aiohttp", "kubectl", "helm"):
        assert any(re.fullmatch(rf"{name} \d+\.\d+\.\d+\S*", found) for found in names), (name, names)


def test_a_program_that_tells_no_version_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "kubectl").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "kubectl").chmod(0o755)
    done = operators.lostromos("version", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (done.returncode, "kubectl version unknown" in done.stdout) == (0, True)


@pytest.mark.parametrize("name", sorted(app.commands.commands))
def test_every_command_has_a_short_help_an_example_and_help_for_each_option(name: str) -> None:
    command = app.commands.commands[name]
    assert 0 < len(command.short_help or "") <= 50
    assert "Example" in (command.epilog or "")
    assert [option.name for option in command.params if not getattr(option, "help", "")] == []


def test_a_shell_completes_options_and_files() -> None:
    words = {"_LOSTROMOS_COMPLETE": "bash_complete", "COMP_CWORD": "2"}
    done = operators.lostromos(COMP_WORDS="lostromos run --kube", **words)
    assert done.stdout == "plain,--kubeconfig\n"
    done = operators.lostromos(COMP_WORDS="lostromos run --kubeconfig x", **{**words, "COMP_CWORD": "3"})
    assert done.stdout == "file,x\n"


def test_output_without_once_is_wrong_usage() -> None:
    done = operators.lostromos("run", "-o", "json")
    assert (done.returncode, "--output needs --once" in done.stderr) == (2, True)


def test_an_unknown_command_suggests_the_nearest() -> None:
    done = operators.lostromos("rnder")
    assert (done.returncode, "render" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("number", "delete", "asked"),
    [
        (1, True, "Release this resource and delete its objects?"),
        (1, False, "Release this resource and leave its objects where they are?"),
        (3, True, "Release these 3 resources and delete their objects?"),
    ],
)
def test_cleanup_asks_in_words_that_fit(number: int, delete: bool, asked: str) -> None:
    assert cleanup._question(number, delete_objects=delete) == asked
