"""The configuration: what is accepted, and errors that name file, line and field."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import errors, plugins
from lostromos_core.configuration import config
from lostromos_core.engine import bootstrap, variables

if TYPE_CHECKING:
    from pathlib import Path

MINIMAL = "controllers:\n  - name: a\n    watch: {kubernetes: {version: v1, kind: Pod}}\n    render: {jinja: {templates: t}}\n"


def load(folder: Path, text: str, **environ: str) -> tuple[config.Config, config.Document]:
    path = folder / "lostromos.yaml"
    path.write_text(text)
    return config.load(path, environ)


def test_a_minimal_configuration_has_defaults(tmp_path: Path) -> None:
    settings, document = load(tmp_path, MINIMAL)
    assert (settings.workers, settings.vars, settings.controllers[0].apply) == (16, {}, {"server-side": {}})
    assert document.base == tmp_path


def test_declared_environment_variables_are_put_in_as_values(tmp_path: Path) -> None:
    text = MINIMAL + "environment: {A: null, B: fallback}\nvars: {x: 'a${A}b', y: ['${B}', $$5], z: 1}\n"
    settings, _ = load(tmp_path, text, A="]\n- evil: [")
    assert settings.vars == {"x": "a]\n- evil: [b", "y": ["fallback", "$5"], "z": 1}
    settings, _ = load(tmp_path, MINIMAL + "environment: [A]\nvars: {x: '${A}'}\n", A="1")
    assert settings.vars == {"x": "1"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (MINIMAL + "workrs: 1\n", "lostromos.yaml:5: workrs: unknown key; did you mean 'workers'"),
        (MINIMAL + "workers: 0\n", "lostromos.yaml:5: workers: must be at least 1"),
        (MINIMAL + "workers: 257\n", "lostromos.yaml:5: workers: must be at most 256"),
        (MINIMAL + "workers: true\n", "lostromos.yaml:5: workers: expected a number"),
        (MINIMAL + "workers: many\n", "lostromos.yaml:5: workers: expected an integer"),
        (MINIMAL + "    resync: 'inf'\n", "lostromos.yaml:5: controllers[0].resync: expected a finite number"),
        (MINIMAL + "    resync: 'nan'\n", "lostromos.yaml:5: controllers[0].resync: expected a finite number"),
        (MINIMAL + "    resync: true\n", "lostromos.yaml:5: controllers[0].resync: expected a number"),
        (MINIMAL + "    lookup: []\n", "lostromos.yaml:5: controllers[0].lookup: expected a mapping"),
        (MINIMAL + "    lookup: {secrets: 2}\n", "controllers[0].lookup.secrets: expected true or false"),
        (MINIMAL + "    lookup: {namespaces: a}\n", "controllers[0].lookup.namespaces: expected a list"),
        (MINIMAL + "varsFrom: [{file: [1]}]\n", "varsFrom[0].file: expected a path"),
        (MINIMAL.replace("name: a", "name: 1"), "controllers[0].name: expected a string; put it in quotes"),
        (MINIMAL.replace("name: a", "name: [a]"), "controllers[0].name: expected a string"),
        (MINIMAL + "    apply: {a: {}, b: {}}\n", "controllers[0].apply: give exactly one of: a, b"),
        (MINIMAL + "    apply: kubectl\n", "lostromos.yaml:5: controllers[0].apply: expected a mapping"),
        (MINIMAL + "vars: {x: '${A}'}\n", "lostromos.yaml:5: vars.x: ${A} is not declared"),
        (
            MINIMAL + "environment: [A]\nvars: {x: '${A}'}\n",
            "lostromos.yaml:6: vars.x: the environment variable A is not set",
        ),
        (MINIMAL + "environment: 1\n", "lostromos.yaml:5: environment: "),
        (MINIMAL + "varsFrom: [{}]\n", "lostromos.yaml:5: varsFrom[0]: give exactly one of"),
        (
            MINIMAL + "varsFrom: [{secrt: {name: a, namespace: b}}]\n",
            "varsFrom[0].secrt: unknown key; did you mean 'secret'",
        ),
        (MINIMAL + "varsFrom: [{secret: {name: a}}]\n", "varsFrom[0].secret.namespace: this key is required"),
        (
            MINIMAL.replace("render", "rendr"),
            "lostromos.yaml:4: controllers[0].rendr: unknown key; did you mean 'render'",
        ),
        (
            MINIMAL.replace("{kubernetes: {version: v1, kind: Pod}}", "{}"),
            "lostromos.yaml:3: controllers[0].watch: give exactly one back end",
        ),
        ("controllers: []\n", "lostromos.yaml:1: controllers: needs 1 or more entries"),
        ("controllers: {}\n", "lostromos.yaml:1: controllers: expected a list"),
        ("", "lostromos.yaml:1: expected a mapping"),
        ("{a: {b: 1, b: 2}}\n", "lostromos.yaml:1: a.b: the key is repeated"),
        ("a: *x\n", "lostromos.yaml:1: not valid YAML"),
        (MINIMAL + "vars: {x: " + "9" * 5000 + "}\n", "lostromos.yaml:5: vars.x: 9999999999... has more than 64 bits"),
        (MINIMAL + 'vars:\n  x: "\\U00110000"\n', "lostromos.yaml:6: not valid YAML: an escape"),
        ("\x01", "not valid YAML"),
    ],
)
def test_an_error_names_file_line_and_field(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError) as caught:
        load(tmp_path, text)
    assert says in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match="no such file"):
        config.load(tmp_path / "absent.yaml", {})
    with pytest.raises(errors.ConfigError, match="cannot be read"):
        config.load(tmp_path, {})


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "kind: Pod",
            "knd: Pod",
            "lostromos.yaml:3: controllers[0].watch.kubernetes.knd: unknown key; did you mean 'kind'",
        ),
        ("kubernetes:", "kubernets:", "there is no watcher 'kubernets'"),
        ("{templates: t}", "{templates: [1]}", "controllers[0].render.jinja.templates: expected a path"),
        (
            "{templates: t}",
            "{templates: ''}",
            "controllers[0].render.jinja.templates: expected a path, relative",
        ),
        (
            "{jinja: {templates: t}}",
            "\n      jinja:\n        templates: absent",
            "lostromos.yaml:6: controllers[0].render.jinja.templates: the folder",
        ),
        (
            "{templates: t}",
            "{templates: lostromos.yaml}",
            "lostromos.yaml is not a folder; create it, or correct the path",
        ),
        ("jinja: {templates: t}", "values: {template: t.yaml}", "controllers[0].render.values.template: the file"),
        ("jinja: {templates: t}", "values: {layout: x}", "render.values.layout: must be 'resource' or 'spec'"),
        (
            "jinja: {templates: t}",
            "values: {}",
            "lostromos.yaml:4: controllers[0].render: the renderer makes Values, but",
        ),
        ("jinja: {templates: t}", "jinja: 5", "controllers[0].render.jinja: expected a mapping"),
        (
            "version: v1",
            "version: ex.dev/v1",
            "watch.kubernetes.version: 'ex.dev/v1' is not a valid API version (for example: v1); put the group into `group`: {group: ex.dev, version: v1}",
        ),
        (
            "version: v1",
            "group: ex.dev/v1, version: v1",
            "watch.kubernetes.group: 'ex.dev/v1' is not a valid API group",
        ),
        ("version: v1", "version: ''", "watch.kubernetes.version: '' is not a valid API version"),
        ("kind: Pod", "kind: ''", "watch.kubernetes.kind: '' is not a valid kind"),
        ("kind: Pod", "kind: Pod, namespaces: [a, b, a]", "watch.kubernetes.namespaces: 'a' is given twice"),
        (
            "kind: Pod",
            "kind: Pod, namespaces: [A_b]",
            "watch.kubernetes.namespaces: 'A_b' is not a valid namespace name",
        ),
        ("kind: Pod", "kind: Pod, namespaces: a", "watch.kubernetes.namespaces: expected a list"),
        (
            "kind: Pod",
            "kind: Pod, labels: '((('",
            "lostromos.yaml:3: controllers[0].watch.kubernetes.labels: '(((' is not a valid part of a label selector; write, separated by commas: key=value,",
        ),
        ("kind: Pod", "kind: Pod, annotation: '=x'", "watch.kubernetes.annotation: '' is not a valid annotation name"),
        ("name: a", "name: A", "controllers[0].name: the name 'A'"),
    ],
)
def test_a_back_end_that_is_given_wrong_options_is_named(old: str, new: str, says: str, tmp_path: Path) -> None:
    settings, document = load(tmp_path, MINIMAL.replace(old, new))
    with pytest.raises(errors.ConfigError) as caught:
        bootstrap.Setup(settings, document, plugins.load()).operator(None)  # type: ignore[arg-type]
    assert says in str(caught.value)


def test_the_schema_for_editors_knows_all_back_ends() -> None:
    schema = bootstrap.json_schema(plugins.load())
    properties = schema["$defs"]["ControllerConfig"]["properties"]
    assert set(properties["apply"]["properties"]) == {"server-side", "kubectl", "helm"}
    assert "annotation" in json.dumps(properties["watch"])
    assert json.loads(json.dumps(schema)) == schema


SOURCES: list[dict[str, Any]] = [
    {"environment": {"a": "A"}},
    {"file": "vars.yaml"},
    {"configMap": {"namespace": "n", "name": "c"}, "under": "m"},
    {"secret": {"namespace": "n", "name": "s"}, "under": "m"},
    {"secret": {"namespace": "n", "name": "absent", "optional": True}},
]
OBJECTS = [
    {"kind": "ConfigMap", "metadata": {"namespace": "n", "name": "c"}, "data": {"x": "1"}},
    {"kind": "Secret", "metadata": {"namespace": "n", "name": "s"}, "data": {"y": "Mg=="}, "stringData": {"z": "3"}},
    {"kind": "Secret", "metadata": {"namespace": "n", "name": "odd"}, "data": {"y": 5}},
    {"kind": "Secret", "metadata": {"namespace": "n", "name": "bad"}, "data": {"y": "abcde"}},
    {"kind": "Secret", "metadata": {"namespace": "n", "name": "list"}, "data": ["y"]},
    {"kind": "ConfigMap", "metadata": {"namespace": "n", "name": "odd"}, "data": {"y": 5}},
]


def gather(folder: Path, sources: list[dict[str, Any]]) -> Any:
    settings, document = load(folder, MINIMAL + f"vars: {{a: 0, k: 1}}\nvarsFrom: {json.dumps(sources)}\n")
    return variables.gather(settings, document, variables.from_objects(OBJECTS), {"A": "env"})


async def test_variables_are_gathered_in_order(tmp_path: Path) -> None:
    (tmp_path / "vars.yaml").write_text("f: 1\n")
    assert await gather(tmp_path, SOURCES) == {"a": "env", "k": 1, "f": 1, "m": {"x": "1", "y": "2", "z": "3"}}


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({"environment": {"a": "B"}}, "varsFrom[0].environment: the environment variable B is not set"),
        ({"file": "absent.yaml"}, "varsFrom[0].file: "),
        ({"file": "list.yaml"}, "must contain one mapping"),
        ({"file": "odd.yaml"}, "odd.yaml:2: b: yes is a boolean to some readers"),
        ({"file": "ok.yaml", "under": "k"}, "varsFrom[0].under: the variable k already exists and is not a mapping"),
        ({"secret": {"namespace": "n", "name": "x"}}, "varsFrom[0].secret: Secret n/x is not among"),
        ({"secret": {"namespace": "n", "name": "odd"}}, "varsFrom[0].secret: Secret n/odd: data.y must be base64"),
        ({"secret": {"namespace": "n", "name": "bad"}}, "Secret n/bad: data.y must be base64; plain text goes in"),
        ({"secret": {"namespace": "n", "name": "list"}}, "Secret n/list: data must map names to strings"),
        ({"configMap": {"namespace": "n", "name": "odd"}}, "varsFrom[0].configMap: ConfigMap n/odd: data.y must be a"),
    ],
)
async def test_a_source_that_cannot_be_used_is_named(source: dict[str, Any], says: str, tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("[1]\n")
    (tmp_path / "odd.yaml").write_text("a: 1\nb: yes\n")
    (tmp_path / "ok.yaml").write_text("a: 1\n")
    with pytest.raises(errors.ConfigError) as caught:
        await gather(tmp_path, [source])
    assert says in str(caught.value)
