"""Values for a chart: from a template or from the resource, with what is laid below and above them."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lostromos_core import errors, interfaces
from lostromos_core.kube.lookup import lookups
from lostromos_core.templates import values_renderer
from lostromos_core.templates.data import tokens
from tests import fakes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

RESOURCE = fakes.resource("web", size=3, image="nginx", labels={"a": "b"})
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "ns"},
    "spec": {"clusterIP": "10.0.0.1"},
}
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "s", "namespace": "ns"},
    "data": {"word": "c2VjcmV0", "binary": "//79"},
}
FIND = 'lookup("v1", "Service", "web")'


def render(
    folder: Path,
    text: str | Mapping[str, str],
    *objects: Mapping[str, Any],
    resource: interfaces.Resource = RESOURCE,
    variables: Mapping[str, Any] | None = None,
    **options: Any,
) -> interfaces.Values:
    """The values that a template makes; more files by name."""
    for name, content in ({"values.yaml": text} if isinstance(text, str) else text).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    find = lookups.among(objects, resource, lookups.Policy(secrets=True))
    context = interfaces.Context(vars=variables or {}, lookup=find)
    return values_renderer.ValuesRenderer(folder / "values.yaml", **options).render(resource, context)


def laid_out(
    resource: interfaces.Resource = RESOURCE, variables: Mapping[str, Any] | None = None, **options: Any
) -> interfaces.Values:
    """The values without a template."""
    return values_renderer.ValuesRenderer(**options).render(resource, interfaces.Context(vars=variables or {}))


def test_without_a_template_the_resource_is_laid_out() -> None:
    spec = {"size": 3, "image": "nginx", "labels": {"a": "b"}}
    assert laid_out().values == {"resource": {"name": "web", "namespace": "ns", "spec": spec}}
    assert laid_out(layout="spec").values == spec


@pytest.mark.parametrize("spec", [None, {}])
def test_a_resource_without_a_spec_has_no_values(spec: Any) -> None:
    empty = dataclasses.replace(RESOURCE, data={**RESOURCE.data, "spec": spec})
    absent = dataclasses.replace(RESOURCE, data={"metadata": {"name": "web"}})
    for resource in (empty, absent):
        assert laid_out(resource, layout="spec").values == {}
        assert laid_out(resource).values == {"resource": {"name": "web", "namespace": "ns", "spec": {}}}


@pytest.mark.parametrize("spec", ["text", [], [1], 0, False, ""])
@pytest.mark.parametrize("layout", ["resource", "spec"])
def test_a_spec_that_is_no_mapping_is_an_error(layout: str, spec: Any) -> None:
    with pytest.raises(errors.RenderError, match="values: spec of WebApp ns/web must be a mapping"):
        laid_out(dataclasses.replace(RESOURCE, data={**RESOURCE.data, "spec": spec}), layout=layout)


def test_each_value_comes_from_its_field() -> None:
    for found, path, field in (
        (laid_out(), ("resource", "spec", "size"), "resource.spec.size"),
        (laid_out(layout="spec"), ("labels", "a"), "resource.spec.labels.a"),
    ):
        place = found.locate(path)
        assert place is not None
        assert (place.file, place.expression) == ("", field)


TEXT = "name: {{ resource.metadata.name }}\nsize: {{ resource.spec.size }}\nzone: {{ vars.zone }}\n"


def test_a_template_makes_the_values(tmp_path: Path) -> None:
    found = render(tmp_path, TEXT, variables={"zone": "eu"})
    assert found.values == {"name": "web", "size": 3, "zone": "eu"}
    assert (found.waiting, found.status, found.reads) == ("", {}, frozenset())


def test_each_value_comes_from_its_line(tmp_path: Path) -> None:
    found = render(tmp_path, TEXT, variables={"zone": "eu"})
    assert found.locate(("size",)) == interfaces.Place(str(tmp_path / "values.yaml"), 2, "resource.spec.size")
    assert found.locate(("zone",)) == interfaces.Place(str(tmp_path / "values.yaml"), 3, "vars.zone")


def test_templates_beside_it_can_be_included(tmp_path: Path) -> None:
    files = {
        "values.yaml": 'a:\n  {% include "part.yaml" %}\n{% from "sub/_lib.yaml" import word %}\nb: {{ word("x") }}\n',
        "part.yaml": "size: {{ resource.spec.size }}\n",
        "sub/_lib.yaml": "{% macro word(x) %}{{ x }}-{{ x }}{% endmacro %}\n",
    }
    assert render(tmp_path, files).values == {"a": {"size": 3}, "b": "x-x"}


@pytest.mark.parametrize("text", ["", "# nothing\n", "{% if false %}\na: 1\n{% endif %}\n", "---\n"])
def test_a_template_that_makes_nothing_makes_no_values(tmp_path: Path, text: str) -> None:
    assert render(tmp_path, text).values == {}


@pytest.mark.parametrize("text", ["- a\n", "text\n", "1\n", "a: 1\n---\nb: 2\n", "{{ resource.spec.image }}\n"])
def test_what_is_not_one_mapping_is_an_error_with_its_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(errors.RenderError, match="the values must be one mapping") as caught:
        render(tmp_path, text)
    assert caught.value.place == str(tmp_path / "values.yaml")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\nb: {{ resource.spec.absent }}\n", 2, "absent"),
        ("a: 1\n\nb: {{ vars.absent }}\n", 3, "absent"),
        ('a: 1\nb: {% include "absent.yaml" %}\n', 2, "absent.yaml"),
        ("a: 1\nb: {{ 1 + 'x' }}\n", 2, "unsupported operand"),
        ("a: 1\nb: 2\nb: 3\n", 3, "repeated"),
        ("a: 1\nb: yes\n", 2, "true"),
        ("a: {{ resource.spec.labels }}\nb: x{{ resource.spec.labels }}\n", 2, "(from resource.spec.labels)"),
        ('a: 1\nb: {{ lookup("v1", "Service", 3) }}\n', 2, "lookup takes strings"),
    ],
)
def test_an_error_names_file_and_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    with pytest.raises(errors.RenderError) as caught:
        render(tmp_path, text)
    assert caught.value.place == f"{tmp_path / 'values.yaml'}:{line}"
    assert said in caught.value.message


def test_an_error_in_an_included_template_names_that(tmp_path: Path) -> None:
    with pytest.raises(errors.RenderError) as caught:
        render(
            tmp_path, {"values.yaml": 'a:\n  {% include "part.yaml" %}\n', "part.yaml": "x: 1\ny: {{ vars.absent }}\n"}
        )
    assert caught.value.place == f"{tmp_path / 'part.yaml'}:2"


def test_a_template_that_is_missing_or_wrong_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match=r"values: the template \S+/none.yaml does not exist; create it"):
        values_renderer.ValuesRenderer(tmp_path / "none.yaml").load()
    (tmp_path / "values.txt").write_text("a: 1\n")
    with pytest.raises(errors.ConfigError, match=r"there is no template values.txt in \S+; its name must end in .yaml"):
        values_renderer.ValuesRenderer(tmp_path / "values.txt").load()
    (tmp_path / "bad.yaml").write_text("a: 1\nb: {{ 1 + }}\n")
    with pytest.raises(errors.ConfigError, match=r"bad.yaml:2: not a valid template"):
        values_renderer.ValuesRenderer(tmp_path / "bad.yaml").load()


def test_a_status_without_a_template_or_a_file_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match="`status` is a template beside `template`"):
        values_renderer.ValuesRenderer(status="status.yaml")
    (tmp_path / "values.yaml").write_text("")
    with pytest.raises(errors.ConfigError, match=r"there is no template status.yaml in"):
        values_renderer.ValuesRenderer(tmp_path / "values.yaml", status="status.yaml").load()


async def test_what_plug_ins_bring_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("a: {{ 'x' | shout }}\nb: {{ word() }}\nc: {{ 3 is odd_one }}\n")
    made = values_renderer.ValuesRenderer(tmp_path / "values.yaml")
    runtime = interfaces.Runtime(
        "app",
        None,
        filters={"shout": lambda text: f"{text}!"},
        tests={"odd_one": lambda number: number % 2 == 1},
        functions={"word": lambda: "w"},
    )
    await made.start(runtime)
    assert made.render(RESOURCE, interfaces.Context()).values == {"a": "x!", "b": "w", "c": True}


def test_what_is_looked_up_is_noted_and_waited_for(tmp_path: Path) -> None:
    service = frozenset({interfaces.ObjectRef("v1", "Service", "ns", "web")})
    text = f"ip: {{{{ {FIND}.spec.clusterIP }}}}\n"
    found = render(tmp_path, text, SERVICE)
    assert (found.values, found.reads, found.waiting) == ({"ip": "10.0.0.1"}, service, "")
    found = render(tmp_path, text, variables={"a": "below"}, vars="below")
    assert found.waiting == "values.yaml: Service ns/web is not there yet"
    assert (found.values, found.reads, found.status) == ({}, service, None)
    found = render(tmp_path, f"ip: {{{{ {FIND}.status.ip }}}}\n", SERVICE)
    assert found.waiting == "values.yaml: Service ns/web has no status yet"
    assert render(tmp_path, f"ip: {{{{ {FIND}.status.ip | default('none') }}}}\n", SERVICE).values == {"ip": "none"}


def test_a_status_is_made_beside_the_values(tmp_path: Path) -> None:
    files = {
        "values.yaml": "a: 1\n",
        "status.yaml": f"size: {{{{ resource.spec.size }}}}\nip: {{{{ {FIND}.spec.clusterIP }}}}\n",
    }
    found = render(tmp_path, files, SERVICE, status="status.yaml")
    assert (found.values, found.status) == ({"a": 1}, {"size": 3, "ip": "10.0.0.1"})
    assert {str(ref) for ref in found.reads} == {"Service ns/web"}
    waits = render(tmp_path, files, status="status.yaml")
    assert (waits.values, waits.status, waits.waiting) == ({"a": 1}, None, "")
    assert render(tmp_path, {"status.yaml": "", "values.yaml": ""}, status="status.yaml").status == {}


@pytest.mark.parametrize("key", ["conditions", "observedGeneration", "resources"])
def test_a_status_may_not_write_what_the_operator_writes(tmp_path: Path, key: str) -> None:
    with pytest.raises(errors.RenderError, match=f"the status field '{key}' is written by the operator") as caught:
        render(tmp_path, {"values.yaml": "", "status.yaml": f"a: 1\n{key}: 1\n"}, status="status.yaml")
    assert caught.value.place == f"{tmp_path / 'status.yaml'}:2"


def test_a_status_that_is_no_mapping_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(errors.RenderError, match="the status must be one mapping") as caught:
        render(tmp_path, {"values.yaml": "", "status.yaml": "- 1\n"}, status="status.yaml")
    assert caught.value.place == str(tmp_path / "status.yaml")


LAYERS: dict[str, Any] = {"defaults": {"x": "defaults", "d": 1}, "overrides": {"x": "overrides", "o": 1}}
VARIABLES = {"x": "vars", "v": 1}


@pytest.mark.parametrize(
    ("merged", "options", "x", "keys"),
    [
        ("no", {}, "made", "m x"),
        ("below", {}, "made", "m v x"),
        ("above", {}, "vars", "m v x"),
        ("no", {"defaults": LAYERS["defaults"]}, "made", "d m x"),
        ("no", {"overrides": LAYERS["overrides"]}, "overrides", "m o x"),
        ("no", LAYERS, "overrides", "d m o x"),
        ("below", LAYERS, "overrides", "d m o v x"),
        ("above", LAYERS, "overrides", "d m o v x"),
        ("above", {"defaults": LAYERS["defaults"]}, "vars", "d m v x"),
    ],
)
def test_layers_lie_on_each_other_in_order(tmp_path: Path, merged: str, options: Any, x: str, keys: str) -> None:
    from_template = render(tmp_path, "x: made\nm: 1\n", variables=VARIABLES, vars=merged, **options)
    spec = fakes.resource("web", x="made", m=1)
    from_spec = laid_out(spec, VARIABLES, layout="spec", vars=merged, **options)
    assert from_template.values == from_spec.values
    assert (from_spec.values["x"], " ".join(sorted(from_spec.values))) == (x, keys)


def test_variables_lie_above_defaults_even_below(tmp_path: Path) -> None:
    assert render(tmp_path, "", variables=VARIABLES, vars="below", **LAYERS).values == {"x": "overrides", "v": 1, "d": 1, "o": 1}  # fmt: skip
    found = render(tmp_path, "", variables=VARIABLES, vars="below", defaults=LAYERS["defaults"])
    assert found.values["x"] == "vars"


def test_mappings_are_merged_and_everything_else_is_replaced() -> None:
    below = {"a": {"b": 1, "c": {"d": 2}}, "l": [1, 2], "n": {"x": 1}, "s": 1}
    above = {"a": {"c": {"e": 3}}, "l": [3], "n": None, "s": {"y": 1}}
    before = json.dumps([below, above])
    assert values_renderer.merge(below, above) == {
        "a": {"b": 1, "c": {"d": 2, "e": 3}},
        "l": [3],
        "n": None,
        "s": {"y": 1},
    }
    assert json.dumps([below, above]) == before


def test_rendering_changes_neither_the_resource_nor_the_options() -> None:
    defaults = {"labels": {"z": "1"}}
    before = json.dumps([RESOURCE.data, defaults])
    assert laid_out(layout="spec", defaults=defaults).values["labels"] == {"z": "1", "a": "b"}
    assert json.dumps([RESOURCE.data, defaults]) == before


def test_what_the_author_must_not_see_is_noted(tmp_path: Path) -> None:
    variables = {"key": "v1", "deep": [{"a": "v2"}], "number": 3}
    text = 'a: {{ lookup("v1", "Secret", "s").data.word }}\n'
    assert render(tmp_path, text, SECRET, variables=variables).hidden == {"v1", "v2", "c2VjcmV0", "secret", "//79"}
    assert render(tmp_path, f"a: {{{{ {FIND}.spec.clusterIP }}}}\n", SERVICE).hidden == frozenset()
    assert laid_out(variables=variables).hidden == {"v1", "v2"}


YAMLISH = st.text(alphabet=st.sampled_from(list("\n\r\t :#-{}[]&*!|>'\"%@`,?~<=\\\u2028\x85\0ab01")), max_size=40)
POSITIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "plain": ("v: {{ resource.spec.x }}\nw: 1\n", lambda x: {"v": x, "w": 1}),
    "quoted": ('v: "{{ resource.spec.x }}"\nw: 1\n', lambda x: {"v": x, "w": 1}),
    "mixed": ("v: a-{{ resource.spec.x }}-b\nw: 1\n", lambda x: {"v": f"a-{x}-b", "w": 1}),
    "block": ("v: |-\n  {{ resource.spec.x }}\nw: 1\n", lambda x: {"v": x, "w": 1}),
    "flow": ("v: [{{ resource.spec.x }}, {a: {{ resource.spec.x }}}]\nw: 1\n", lambda x: {"v": [x, {"a": x}], "w": 1}),
    "key": ("v:\n  k{{ resource.spec.x }}: 1\nw: 1\n", lambda x: {"v": {f"k{x}": 1}, "w": 1}),
    "included": ('v:\n  {% include "part.yaml" %}\nw: 1\n', lambda x: {"v": {"in": x}, "w": 1}),
}


@pytest.mark.parametrize("position", POSITIONS)
@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.one_of(st.text(), YAMLISH, st.sampled_from(["yes", "0644", "~", "---", "...", "a: b", "{{ x }}", "<<"])))
def test_no_text_can_become_structure(tmp_path: Path, position: str, text: str) -> None:
    template, expected = POSITIONS[position]
    (tmp_path / "values.yaml").write_text(template)
    (tmp_path / "part.yaml").write_text("in: {{ resource.spec.x }}\n")
    resource = fakes.resource("web", x=text)
    made = values_renderer.ValuesRenderer(tmp_path / "values.yaml")
    if tokens.RESERVED.search(text):
        with pytest.raises(errors.RenderError):
            made.render(resource, interfaces.Context())
    else:
        assert made.render(resource, interfaces.Context()).values == expected(text)


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none()))
def test_a_spec_without_a_template_arrives_as_it_is(spec: dict[str, Any]) -> None:
    resource = dataclasses.replace(RESOURCE, data={**RESOURCE.data, "spec": spec})
    assert laid_out(resource, layout="spec").values == spec


@pytest.mark.parametrize("value", [[1], {"a": 1}, None])
def test_no_structure_can_become_text(tmp_path: Path, value: Any) -> None:
    with pytest.raises(errors.RenderError) as caught:
        render(tmp_path, 'a: 1\nb: "x{{ resource.spec.x }}"\n', resource=fakes.resource("web", x=value))
    assert caught.value.place.endswith("values.yaml:2")
    assert render(tmp_path, "b: {{ resource.spec.x }}\n", resource=fakes.resource("web", x=value)).values == {
        "b": value
    }


def test_what_the_template_uses_is_compiled_at_the_start_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "chart").mkdir()
    (tmp_path / "chart" / "service.yaml").write_text("name: {{ .Values.name }}\n")
    (tmp_path / "values.yaml").write_text('{% import "_a.yaml" as a %}\nx: {{ a.m() }}\n')
    (tmp_path / "_a.yaml").write_text('{% macro m() %}{% include "_b.yaml" %}{% endmacro %}')
    (tmp_path / "_b.yaml").write_text("one: 1\ntwo: {{ }\n")
    with pytest.raises(errors.ConfigError, match=r"_b.yaml:2: not a valid template"):
        values_renderer.ValuesRenderer(tmp_path / "values.yaml").load()
    (tmp_path / "_b.yaml").write_text("1")
    values_renderer.ValuesRenderer(tmp_path / "values.yaml").load()
