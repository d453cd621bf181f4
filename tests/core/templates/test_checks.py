"""What is found at the start, at its line; which files are templates; and what messages say to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import structlog.testing

from lostromos_core import errors, interfaces
from lostromos_core.templates import renderer
from tests import fakes

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\n"


def load(path: Path, **files: str) -> renderer.JinjaRenderer:
    for name, text in files.items():
        (path / name).write_text(text)
    made = renderer.JinjaRenderer(path)
    made.load()
    return made


def names(made: renderer.JinjaRenderer, **spec: Any) -> list[str]:
    return [one.ref.name for one in made.render(fakes.resource("web", **spec), interfaces.Context({})).objects]


@pytest.mark.parametrize(
    ("lines", "line", "says"),
    [
        ("a: 1\n{% if x %}\nb: {{ x | uper }}\n{% endif %}", 6, "No filter named 'uper'; did you mean 'upper'?"),
        ("{% if x is defind %}\na: 1\n{% endif %}", 4, "No test named 'defind'; did you mean 'defined'?"),
        ("{% for x in [] %}\na: {{ x\n  | toYaml }}\n{% endfor %}", 6, "No filter named 'toYaml'; write the expression alone"),
        ("{% macro m(x) %}\n{{ x | nindent(2) }}\n{% endmacro %}", 5, "No filter named 'nindent'"),
        ("a: {{ 'x' if y is verion('1') else 'z' }}", 4, "No test named 'verion'; did you mean 'version'?"),
        ("a: {{ [1] | map('uper') | list }}", 4, "No filter named 'uper'; did you mean 'upper'?"),
        ("a: {{ [1] | select('strng') | list }}", 4, "No test named 'strng'; did you mean 'string'?"),
        ("a: {{ [{}] | selectattr('x', 'equl', 1) | list }}", 4, "No test named 'equl'"),
        ("{% filter uper %}\nx\n{% endfilter %}", 4, "No filter named 'uper'"),
        ("a: {{ x | community.crypto.x509_certificate_info }}", 4, "a plug-in can add it"),
        ("a: {{ x | uper }}\nb: {{ x | lowr }}", 4, "(and 1 more in this file)"),
    ],
)  # fmt: skip
def test_a_name_that_is_not_there_is_found_at_the_start(lines: str, line: int, says: str, tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match=re.escape(says)) as caught:
        load(tmp_path, **{"a.yaml": HEAD + lines + "\n"})
    assert f"a.yaml:{line}: " in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "line", "says"),
    [
        ("{% if x %}\na: 1\nb: 2\n", 4, "the tag if is opened here and not closed"),
        ("a: 1\n{% for x in y %}\n{% if x %}\nb: 2\n{% endif %}\n", 5, "the tag for is opened here"),
        ("{% for x in y %}\n{% if x %}\nb: 2\n{% endfor %}\n", 5, "the tag if is opened here"),
        ("{% set x %}\nb: 2\n", 4, "the tag set is opened here"),
        ("{% set x = 1 %}\na: 1\n{% macro m() %}\nb: 2\n", 6, "the tag macro is opened here"),
        ("a: 1\nb: {{ x\nc: 2\n", 5, "{{ is opened here"),
        ("a: 1\n{# x\nc: 2\n", 5, "{# is opened here"),
        ("a: |\n  ${#array[@]}\n", 5, "{% raw %}"),
        ("a: {{ $labels.pod }}\n", 4, "{% raw %}"),
        ("a: 1\nb: {{.State}}\n", 5, "{% raw %}"),
        ("a: {% yaml %}\n  b: 1\n", 4, "the tag yaml is opened here"),
    ],
)  # fmt: skip
def test_what_is_not_closed_is_reported_where_it_is_opened(lines: str, line: int, says: str, tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match=re.escape(says)) as caught:
        load(tmp_path, **{"a.yaml": HEAD + lines})
    assert f"a.yaml:{line}: not a valid template: " in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("{% for x in resource.spec.null %}{% endfor %}", "null cannot be looped over (from resource.spec.null); write | default([], true)"),
        ("{% for x in resource.spec['null'] %}{% endfor %}", "null cannot be looped over (from resource.spec['null'])"),
        ("{% for x in resource.spec.number %}{% endfor %}", "a number cannot be looped over (from resource.spec.number)"),
        ("{% for x in none | default(none) %}{% endfor %}", "null cannot be looped over; write"),
        ("{% for x in resource.spec.null recursive %}{% endfor %}", "null cannot be looped over"),
        ("{{ resource.spec.null | join }}", "write | default([], true)"),
        ("{{ 1 in resource.spec.null }}", "write | default([], true)"),
        ("{{ resource.spec.null.x }}", "null has no field 'x'; write (... | default({}, true)) before the dot"),
        ("{{ resource.spec.deep.x | default(1) }}", "put the default before the dot: (... | default({})).x"),
        ("{{ resource.spec.deep.x.y | default(1) }}", "(... | default({})).x"),
        ("{{ resourc.spec }}", "there is no variable 'resourc'; templates see resource, vars, and what they set themselves; did you mean 'resource'?"),
        ("{{ Values.x }}", "write resource.spec, or vars"),
        ("{{ resource.spec.my-name }}", 'a name with a hyphen goes into brackets: resource.spec["my-name"]'),
        ("{{ vars.a-b-c }}", 'vars["a-b-c"]'),
        ("{{ 'a' + 1 }}", "write ~ instead of +"),
        ("{% if 'a' > 1 %}{% endif %}", "compare values of one type"),
        ("{{ resource.spec.number() }}", "only functions, macros and methods can be called"),
        ("{{ lookup('v1', 'ConfigMap') }}", "lookup takes strings"),
        ("{{ lookup(kind='Pod') }}", "lookup takes strings"),
        ("{{ lookup('v1', 'Pod', 'a', label_selector='x') }}", "lookup takes strings"),
        ("{{ lookup('en' ~ 'v', 'X') }}", "vars.NAME"),
        ("{{ lookup('env', 'X') }}", "lookup('env', ...) is Ansible's; write a variable: vars.NAME"),
        ("{{ query('k8s', kind='Pod') }}", "write lookup(apiVersion, kind, name), for one object"),
        ("{% include '_prt.yaml' %}", "there is no template '_prt.yaml' (available: _part.yaml, a.yaml); did you mean '_part.yaml'?"),
        ("{% include 'nginx.conf' %}", "the file nginx.conf is not a template, since the name of a template ends in .yaml"),
    ],
)  # fmt: skip
def test_a_message_says_what_to_do(expression: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "_part.yaml").write_text("a: 1\n")
    (tmp_path / "nginx.conf").write_text("listen 80;\n")
    made = load(tmp_path, **{"a.yaml": f"{HEAD}a: {expression}\n"})
    resource = fakes.resource("web", null=None, number=3)
    with pytest.raises(errors.RenderError, match=re.escape(says)) as caught:
        made.render(resource, interfaces.Context({"a": 1}))
    assert str(caught.value.place).endswith("a.yaml:4")


@pytest.mark.parametrize(
    ("lines", "line", "says"),
    [
        ("a: 1\nb: {{ lookup('env', 'X') }}", 5, "lookup('env', ...) is Ansible's; write a variable: vars.NAME, with varsFrom: environment"),
        ("a: 1\n{% if q %}\nb: {{ lookup('ansible.builtin.template', 'x') }}\n{% endif %}", 6, "is Ansible's; write {% include"),
        ("a: {{ query('k8s', kind='Pod') }}", 4, "lookup(apiVersion, kind, name, namespace=...)"),
        ("a: {{ lookup('password', '/dev/null') | b64encode }}", 4, "a Secret that something else makes"),
        ("a: {{ lookup('file', 'x') }}", 4, "{% raw %}"),
        ("a: {{ lookup('vars', 'x') }}", 4, "the variable itself"),
        ("a: {{ 'x' | quote }}\nb: {{ 'x' | quote }}", 4, "the filter quote does nothing: a value needs no quotes here"),
    ],
)  # fmt: skip
def test_what_another_tool_would_do_is_noted_at_the_start(lines: str, line: int, says: str, tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        load(tmp_path, **{"a.yaml": HEAD + lines + "\n"})
    (note,) = logs
    assert says in note["event"]
    assert note["place"].endswith(f"a.yaml:{line}")


@pytest.mark.parametrize("name", ["b.j2", "b.yaml.jinja2", "b.yml.tpl", "b.json.j2", "b.jinja", "b.tpl", "b.yaml.j2"])
def test_other_endings_are_read(name: str, tmp_path: Path) -> None:
    text = (
        '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}'
        if "json" in name
        else HEAD.replace("NAME", "b")
    )
    assert names(load(tmp_path, **{"a.yaml": HEAD.replace("NAME", "a"), name: text})) == ["a", "b"]


def test_a_file_that_is_included_and_a_file_without_a_kind_make_no_objects(tmp_path: Path) -> None:
    files = {
        "a.yaml": "{% include 'body.j2' %}\nmetadata:\n  {% include 'metadata.tpl' %}\ndata:\n  run.sh: |\n    {% include 'run.sh.j2' %}\n",
        "body.j2": "apiVersion: v1\nkind: ConfigMap\n",
        "metadata.tpl": "name: a\n",
        "run.sh.j2": "echo {{ resource.metadata.name }}\n",
    }
    with structlog.testing.capture_logs() as logs:
        made = load(tmp_path, **files)
    (found,) = made.render(fakes.resource("web"), interfaces.Context({})).objects
    assert found.data == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a"},
        "data": {"run.sh": "echo web\n"},
    }
    assert not logs


def test_what_is_of_no_use_is_said_at_the_start(tmp_path: Path) -> None:
    files = {
        "a.yaml": HEAD.replace("NAME", "a") + "data: {x: {{ 'x' | quote }}}\n",
        "metadata.j2": "name: a\n",
        "deploy.sh.j2": "{% if %}",
        "values.txt": "x",
        "README.md": "x",
        ".hidden": "x",
    }
    with structlog.testing.capture_logs() as logs:
        made = load(tmp_path, **files)
    assert names(made) == ["a"]
    assert sorted(str(one.get("file") or one["place"]).rpartition("/")[2] for one in logs) == [
        "a.yaml:4",
        "deploy.sh.j2",
        "metadata.j2",
        "values.txt",
    ]
