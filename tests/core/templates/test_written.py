"""A kind that is chosen among written words, lists of objects, and every failure of a rendering."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import errors, interfaces
from lostromos_core.templates import renderer
from tests import fakes

if TYPE_CHECKING:
    from pathlib import Path

SPEC: dict[str, Any] = {
    "cluster": True,
    "kind": "ClusterRoleBinding",
    "type": "web",
    "k": "ConfigMap",
    "list": ["Secret"],
    "object": {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}},
}
END = "metadata: {name: a}\n"


def kinds(path: Path, text: str, **more: str) -> list[str]:
    for name, other in {"a": text, **more}.items():
        (path / f"{name}.yaml").write_text(other)
    made = renderer.JinjaRenderer(path)
    made.load()
    found = made.render(fakes.resource("web", **SPEC), interfaces.Context({"kind": "Secret"})).objects
    return [f"{one.ref.api_version} {one.ref.kind}" for one in found]


@pytest.mark.parametrize(
    "text",
    [
        'kind: {{ "Role" if resource.spec.cluster else "X" }}',
        '{% set kind = "Role" if resource.spec.cluster else "X" %}\nkind: {{ kind }}',
        '{% set kind = "X" %}\n{% if resource.spec.cluster %}\n{% set kind = "Role" %}\n{% endif %}\nkind: {{ kind }}',
        'kind: {{ resource.spec.cluster | ternary("Role", "X") }}',
        'kind: {{ {"web": "Role", "job": "X"}[resource.spec.type] }}',
        '{% set kinds = {"web": "Role", "job": "X"} %}\nkind: "{{ kinds[resource.spec.type] }}"',
        '{% for kind in ["Role"] %}\nkind: {{ kind }}\n{% endfor %}',
        '{% set all = ["X", "Role"] %}\nkind: {{ all[1] }}',
        '{% for x in [{"kind": "Role"}] %}\nkind: {{ x.kind }}\n{% endfor %}',
        '{% for a, b in [(1, "Role")] %}\nkind: {{ b }}\n{% endfor %}',
        'kind: {{ "Ro" ~ "le" }}',
        'kind: {{ none or "Role" }}',
        "{% set kind %}Role{% endset %}\nkind: {{ kind }}",
        "kind: {% if resource.spec.cluster %}Role{% else %}X{% endif %}",
        '{% set c = "" %}\nkind: {{ c }}Role',
        '{% set kind = "Role" %}\nkind: {{ kind | string }}',
    ],
)  # fmt: skip
def test_a_kind_may_be_chosen_among_written_words(text: str, tmp_path: Path) -> None:
    assert kinds(tmp_path, f"apiVersion: v1\n{text}\n{END}") == ["v1 Role"]


@pytest.mark.parametrize(
    "text",
    [
        'apiVersion: {{ "apps" if resource.spec.cluster else "b" }}/v1',
        '{% set v = "v1" %}\napiVersion: apps/{{ v }}',
        'apiVersion: {{ ["apps", "x"] | first ~ "/v1" }}',
    ],
)
def test_so_may_a_version(text: str, tmp_path: Path) -> None:
    assert kinds(tmp_path, f"{text}\nkind: X\n{END}") == ["apps/v1 X"]


@pytest.mark.parametrize(
    "text",
    [
        "kind: {{ resource.spec.kind }}",
        "kind: {{ resource.spec['kind'] }}",
        "kind: {{ vars.kind }}",
        "{% set kind = resource.spec.kind %}\nkind: {{ kind }}",
        '{% set kind = "Role" %}\n{% set kind = resource.spec.kind %}\nkind: {{ kind }}',
        'kind: {{ resource.spec.kind | default("Role") }}',
        'kind: {{ resource.spec.kind or "Role" }}',
        'kind: {{ "Role" if not resource.spec.cluster else resource.spec.kind }}',
        'kind: {{ resource.spec.cluster | ternary(resource.spec.kind, "X") }}',
        'kind: {{ {"web": resource.spec.kind}.web }}',
        'kind: {{ {resource.spec.type: "Role"}.web }}',
        "{% for kind in resource.spec.list %}\nkind: {{ kind }}\n{% endfor %}",
        '{% for kind in ["X"] + resource.spec.list %}\n---\napiVersion: v1\nkind: {{ kind }}\nmetadata: {name: "{{ loop.index }}"}\n{% endfor %}\n---\nkind: {{ resource.spec.kind }}',
        '{% macro m(kind) %}{{ kind }}{% endmacro %}\n{% set kind = "Role" %}\nkind: {{ m(resource.spec.kind) }}',
        '{% set kind = "Role" %}\n{% with kind = resource.spec.kind %}\nkind: {{ kind }}\n{% endwith %}',
        "kind: Cluster{{ resource.spec.k }}",
        'kind: {{ "Role" }}{{ resource.spec.k }}',
        'kind: {{ "X" | replace("X", resource.spec.kind) }}',
        'kind: {{ ["X", resource.spec.kind][1] }}',
        '{% set x = namespace(kind="Role") %}\n{% set x.kind = resource.spec.kind %}\nkind: {{ x.kind }}',
        '{% from "_k.yaml" import kind with context %}\nkind: {{ kind }}',
        "{{ {'kind': 'Secret'} }}",
        "{{ resource.spec.object }}\nfoo: 1",
        "kind: Role\n{{ {'kind': 'Secret'} }}",
    ],
)  # fmt: skip
def test_data_can_bring_no_kind(text: str, tmp_path: Path) -> None:
    with pytest.raises(
        errors.RenderError, match=r"must be written in the template|twice|repeated|is missing|must be a mapping"
    ):
        kinds(tmp_path, f"apiVersion: v1\n{text}\n{END}", _k="{% set kind = resource.spec.kind %}")


def test_a_word_that_the_template_brings_and_data_chooses_is_compared_when_it_is_written(tmp_path: Path) -> None:
    text = '{% set all = {"web": "Role", "job": "X"} %}\napiVersion: v1\nkind: {{ all.get(resource.spec.type, resource.spec.kind) }}\n'
    with pytest.raises(errors.RenderError, match="must be written in the template"):
        kinds(tmp_path, text + END)


ITEMS = "items:\n  {% for n in [1, 2] %}\n  - apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: 'a{{ n }}'}\n  {% endfor %}\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("apiVersion: v1\nkind: List\n" + ITEMS, ["v1 ConfigMap"] * 2),
        ("apiVersion: v1\nkind: ConfigMapList\nmetadata: {}\n" + ITEMS, ["v1 ConfigMap"] * 2),
        ("apiVersion: v1\nkind: List\nitems: []\n", []),
        ("apiVersion: v1\nkind: List\nitems:\n", []),
        ("apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items:\n  - {apiVersion: v1, kind: Secret, metadata: {name: b}}\n- {apiVersion: v1, kind: Pod, metadata: {name: b}}\n", ["v1 Secret", "v1 Pod"]),
        ("apiVersion: example.com/v1\nkind: AllowList\nmetadata: {name: a}\nitems: [{ip: 1.2.3.4}]\n", ["example.com/v1 AllowList"]),
        ("apiVersion: example.com/v1\nkind: AllowList\nmetadata: {name: a}\nitems: {{ resource.spec.list }}\n", ["example.com/v1 AllowList"]),
    ],
)  # fmt: skip
def test_a_list_of_objects_is_taken_apart(text: str, found: list[str], tmp_path: Path) -> None:
    assert kinds(tmp_path, text) == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("apiVersion: v1\nkind: List\nitems: {{ [resource.spec.object] }}\n", "the objects of a list must be written"),
        ("apiVersion: v1\nkind: List\nitems:\n  - {{ resource.spec.object }}\n", "a.yaml:4: a document must be a mapping written in the template"),
        ("apiVersion: v1\nkind: List\nitems:\n  - apiVersion: v1\n    kind: X\n    metadata: {name: a}\n  {{ [resource.spec.object] }}\n", "the objects of a list must be written"),
        ("apiVersion: v1\nkind: List\nitems:\n  - apiVersion: v1\n    kind: {{ resource.spec.kind }}\n    metadata: {name: a}\n", "a.yaml:5: kind must be written"),
        ("apiVersion: v1\nkind: List\nitems:\n  - apiVersion: v1\n    kind: X\n", "a.yaml:4: metadata must be a mapping"),
        ("apiVersion: v1\nkind: SecretList\nmetadata: {name: a}\nitems: {{ [resource.spec.object] }}\n", "the objects of a list must be written"),
        ("apiVersion: v1\nkind: List\n{{ {'items': [resource.spec.object]} }}\n", "the objects of a list must be written"),
    ],
)  # fmt: skip
def test_the_objects_of_a_list_are_written_in_the_template(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(errors.RenderError, match=says):
        kinds(tmp_path, text)


def test_every_file_that_fails_is_named_with_its_line(tmp_path: Path) -> None:
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\n"
    files = {
        name: head.replace("NAME", name) + text
        for name, text in (("b", "x: {{ resource.spec.no }}\n"), ("c", ""), ("d", "x: yes\n"))
    }
    with pytest.raises(errors.RenderError) as caught:
        kinds(tmp_path, head + "\nx: {{ 1 / 0 }}\n", **files)
    for place in ("a.yaml:5: ZeroDivisionError", "b.yaml:4: there is no field 'no'", "d.yaml:4: yes is a boolean"):
        assert place in str(caught.value)
    assert "c.yaml" not in str(caught.value)
    assert caught.value.place.endswith("a.yaml:5")


def test_a_rendering_without_budget_ends_with_the_file_that_used_it(tmp_path: Path) -> None:
    bomb = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {{ dict() }}\n{% for x in range(90000) %}{% for y in range(90000) %}{% endfor %}{% endfor %}\n"
    with pytest.raises(errors.RenderError) as caught:
        kinds(tmp_path, bomb, b=bomb)
    assert "b.yaml" not in str(caught.value)
