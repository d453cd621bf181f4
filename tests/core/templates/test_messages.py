"""What an error of a rendering says: where, what and what to do, and no value of the data or the variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import errors, interfaces
from lostromos_core.templates import renderer
from tests import fakes

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
SECRET = "hunter2-4711"


def refused(path: Path, text: str, **filters: Any) -> str:
    (path / "a.yaml").write_text(HEAD + text)
    (path / "_self.yaml").write_text("{% include '_self.yaml' %}")
    made = renderer.JinjaRenderer(path, filters=filters)
    made.load()
    resource = fakes.resource("web", secret=SECRET, mapping={SECRET: 1}, number=4711)
    with pytest.raises(errors.RenderError) as caught:
        made.render(resource, interfaces.Context({"password": SECRET, "pin": 4711, "key": {SECRET: 1}}))
    assert caught.value.place
    return str(caught.value)


@pytest.mark.parametrize(
    "expression",
    ["[1].index(vars.password)", "[1].index(vars.pin)", "vars[vars.password].x", "{}[vars.password].y", "[{}] | map(attribute=vars.password) | list", "[1] | map(vars.password) | list",
     "[1] | select(vars.password) | list", "'' | attr(vars.password)", "vars.password | b64decode", "vars.password | to_toml", "dict([vars.password])", "dict(1, **vars.key)",
     "1 | round(vars.pin)", "1 | round(vars.password)", "vars.password.encode('ascii', vars.password).decode(vars.password)", "'a'.encode(vars.password)",
     "[1] | sort(vars.password) | list", "[1] | batch(vars.password) | list", "'a' | center(vars.pin)", "lookup(vars.password, vars.password, 1)", "range(vars.password)",
     "namespace(vars.password)", "resource.spec.mapping.absent", "[vars] | groupby(vars.password)", "vars.password + 1", "1 + vars.password", "vars.password()", "vars.password | shout"],
)  # fmt: skip
def test_no_value_is_in_a_message(expression: str, tmp_path: Path) -> None:
    def shout(value: Any) -> Any:
        raise ValueError(value)

    said = refused(tmp_path, f"v: {{{{ {expression} }}}}\n", shout=shout)
    if expression != "resource.spec.mapping.absent":  # its author may see the names of the fields
        assert SECRET not in said
    assert "4711" not in said.replace(SECRET, "")


@pytest.mark.parametrize(
    "text",
    ["{% include vars.password %}\n", "{% import vars.password as p %}\n", "'{{ vars.password }}': 1\n'{{ vars.password }}': 2\n", "'{{ vars.password }}':\n  - 'x{{ none }}'\n",
     "{% for a, b in [vars.password] %}{% endfor %}\n", "{% macro m() %}{% endmacro %}v: {{ m(**vars.key) }}\n", "{% set x = dict(**vars.key) %}v: {{ x.y }}\n"],
)  # fmt: skip
def test_no_value_that_a_tag_or_a_key_is_made_of_is_in_a_message(text: str, tmp_path: Path) -> None:
    said = refused(tmp_path, text)
    if "x.y" not in text:  # names of fields are told
        assert SECRET not in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("v: {{ 'a' + 1 }}\n", 'TypeError: can only concatenate str (not "int") to str'),
        ("v: {{ [1].index(2) }}\n", "ValueError (what it says may repeat data, so it is left out)"),
        ("v: {{ 1 | nothing }}\n", "No filter named 'nothing'"),
        ("v: {{ [1] | map('nothing') | list }}\n", "No filter named 'nothing'"),
        ("{% include 'absent.yaml' %}\n", "there is no template 'absent.yaml'"),
        ("{% include '_self.yaml' %}\n", "end the recursion"),
        ("v: {{ resource.spec.secrt }}\n", "there is no field 'secrt' here (available: mapping, number, secret); did you mean 'secret'?"),
        ("a: 1\n'{{ 'a' }}': 2\n", "the key that an expression makes is repeated in one mapping (from 'a')"),
        ("'{{ 'a' }}':\n  b: 'x{{ none }}'\n", "{{...}}.b: null cannot be part of a string"),
    ],
)  # fmt: skip
def test_what_the_template_says_is_told(text: str, says: str, tmp_path: Path) -> None:
    if "nothing" in text:  # names of filters are looked up at the start
        with pytest.raises(errors.ConfigError, match=says):
            refused(tmp_path, text)
    else:
        assert says in refused(tmp_path, text)


def test_a_filter_of_a_plug_in_says_what_is_wrong_by_an_error_of_ours(tmp_path: Path) -> None:
    def check(_: Any) -> Any:
        raise errors.RenderError("a size is needed")

    assert "a.yaml:4: a size is needed" in refused(tmp_path, "v: {{ 1 | check }}\n", check=check)


def test_control_words_come_from_the_template_and_not_from_a_value(tmp_path: Path) -> None:
    def render(metadata: str, **spec: Any) -> Any:
        (tmp_path / "a.yaml").write_text(f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n{metadata}")
        made = renderer.JinjaRenderer(tmp_path)
        return made.render(fakes.resource("web", **spec), interfaces.Context()).objects[0].data["metadata"]

    name = "  name: a\n"
    wave = name + '  annotations:\n    lostromos.dev/wave: "{{ resource.spec.wave }}"\n    {{ resource.spec.key }}: x\n'
    assert render(wave, wave=1, key="mine")["annotations"] == {"lostromos.dev/wave": "1", "mine": "x"}
    assert render(name + '  annotations: {lostromos.dev/adopt: "true"}\n')["annotations"] == {
        "lostromos.dev/adopt": "true"
    }
    macro = '{% macro m() %}\nlostromos.dev/wave: "1"\nb: c\n{% endmacro %}\n'
    assert len(render(name + macro + "  annotations:\n    {{ m() }}\n")["annotations"]) == 2
    assert render(name + "  labels: {{ resource.spec.labels }}\n", labels={"a": "b"})["labels"] == {"a": "b"}
    own = "applyset.kubernetes.io/part-of"
    for text, spec in (
        (wave, {"wave": 1, "key": "lostromos.dev/adopt"}),
        (name + "  annotations: {{ resource.spec.a }}\n", {"a": {"lostromos.dev/adopt": "true"}}),
        (name + "  labels: {{ resource.spec.a }}\n", {"a": {own: "x"}}),
        ("  {{ 'name' }}: a\n  {{ 'annotations' }}: {{ resource.spec.a }}\n", {"a": {"lostromos.dev/wave": "x"}}),
        (name + "  annotations:\n    {{ resource.spec.a }}: x\n", {"a": own}),
    ):
        with pytest.raises(
            errors.RenderError, match="tell the operator what to do; write the key in the template"
        ) as caught:
            render(text, **spec)
        assert "a.yaml:" in caught.value.place
    (tmp_path / "a.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {{ resource.spec.m }}\n")
    resource = fakes.resource("web", m={"name": "a", "annotations": {"lostromos.dev/adopt": "true"}})
    with pytest.raises(errors.RenderError, match="tell the operator"):
        renderer.JinjaRenderer(tmp_path).render(resource, interfaces.Context())


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('resource.spec["items"] is defined', False),
        ('resource.spec["values"] | default("none")', "none"),
        ('resource.spec["update"] | default("none")', "none"),
        ('resource.spec["copy"] is defined', False),
        ('resource.spec["text"]', "x"),
        ('resource.spec["keys"]() | list', ["text", "pages"]),
        ('resource.spec.pages | selectattr("items", "defined") | list | length', 1),
        ('resource.spec.pages | map(attribute="values", default="none") | list', ["none", "none"]),
        ('resource.spec.pages | map(attribute="get", default="none") | list', ["none", "none"]),
        ('resource.spec.pages | rejectattr("pop", "defined") | list | length', 2),
        ('resource.spec.pages | selectattr("items") | list | length', 1),
        ('resource.spec.pages | groupby("index", default="none") | length', 1),
        ('resource.spec.text["upper"]()', "X"),
    ],
)
def test_a_key_is_never_a_method(expression: str, expected: Any, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD + f"v: {{{{ {expression} }}}}\n")
    resource = fakes.resource("web", text="x", pages=[{"n": 1}, {"items": [1]}])
    if expression.endswith('selectattr("items") | list | length'):
        resource.data["spec"]["pages"][0]["items"] = []
    found = renderer.JinjaRenderer(tmp_path).render(resource, interfaces.Context())
    assert found.objects[0].data["v"] == expected


@pytest.mark.parametrize(
    ("failure", "retry"),
    [
        (ConnectionResetError("away"), errors.Retry.SLOWLY),
        (ValueError("wrong"), errors.Retry.ON_CHANGE),
        (errors.RenderError("wrong"), errors.Retry.ON_CHANGE),
    ],
)
def test_what_is_no_function_of_the_resource_and_the_templates_is_tried_again(
    failure: Exception, retry: errors.Retry, tmp_path: Path
) -> None:
    def ask(_value: object) -> str:
        raise failure

    (tmp_path / "a.yaml").write_text(HEAD + "data: {v: '{{ 1 | ask }}'}\n")
    made = renderer.JinjaRenderer(tmp_path, filters={"ask": ask})
    made.load()
    with pytest.raises(errors.RenderError) as caught:
        made.render(fakes.resource("web"), interfaces.Context())
    assert caught.value.retry is retry
