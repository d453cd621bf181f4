"""Texts where structure is meant, values of several lines in block scalars, and what leaves something out."""

from __future__ import annotations

from typing import Any

import pytest

from lostromos_core import errors
from tests.core.templates import rendering

NAMES = {
    "m": {"a": 1, "b": [2]},
    "l": [1, {"x": 2}],
    "s": "one\ntwo\n",
    "t": "a: 1\nb: 2\n",
    "yes": True,
    "no": False,
    "empty": "",
}


@pytest.mark.parametrize(
    "text",
    ["spec: {{ m | to_json }}", "spec: {{ m | tojson }}", "spec:\n  {{ m | to_yaml | indent(2) }}", "spec:\n  {{ m | to_nice_yaml(indent=0) | trim | indent(6) }}", "spec: [{{ l | to_json }}]",
     "- {{ l | to_nice_json }}", "spec: {a: {{ 1 | to_json }}}", "spec:\n  - a: {{ l | to_json | trim }}", "spec:\n  labels:\n    {{ t | indent(4) }}", "{{ 'k' }}: {{ m | to_yaml }}"],
)  # fmt: skip
def test_a_text_that_stands_where_structure_is_meant_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(errors.RenderError, match=r"drop the filter") as caught:
        rendering.one(f"# a comment\n{text}\n", NAMES)
    assert str(caught.value.place).startswith("<template>:2") or "\n" in text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("data:\n  a.json: {{ m | to_json }}", {"data": {"a.json": '{"a": 1, "b": [2]}'}}),
        ("metadata: {annotations: {x: {{ l | to_json }}}}", {"metadata": {"annotations": {"x": '[1, {"x": 2}]'}}}),
        ("stringData: {x: {{ s | indent(2) }}}", {"stringData": {"x": "one\n  two\n"}}),
        ('spec: "{{ m | to_json }}"', {"spec": '{"a": 1, "b": [2]}'}),
        ("spec: {{ m | to_json | string }}", {"spec": '{"a": 1, "b": [2]}'}),
        ("spec: {{ m | to_json | b64encode }}", {"spec": "eyJhIjogMSwgImIiOiBbMl19"}),
        ("spec: {{ 'one' | indent(2) }}", {"spec": "one"}),
        ("spec: {{ {1 | to_json: 2} }}", {"spec": {"1": 2}}),
        ("spec: {{ {'1': 'x'}[1 | to_json] }}", {"spec": "x"}),
        ("spec: {{ (m | to_json).split(',')[0] }}", {"spec": '{"a": 1'}),
        ("spec: {{ [l | to_json] | map('upper') | list }}", {"spec": ['[1, {"X": 2}]']}),
        ("spec: {{ '1' == 1 | to_json }}", {"spec": True}),
        ("spec: x{{ l | to_json }}", {"spec": 'x[1, {"x": 2}]'}),
        ("spec: {{ m | to_json | from_json }}", {"spec": {"a": 1, "b": [2]}}),
        ("spec: {{ {'a': m | to_json} }}", {"spec": {"a": '{"a": 1, "b": [2]}'}}),
        ("data:\n  x: {% yaml %}\n    a: {{ m }}\n  {% endyaml %}", {"data": {"x": "a:\n  a: 1\n  b:\n  - 2\n"}}),
    ],
)
def test_a_text_is_written_where_a_text_is_meant(text: str, value: Any) -> None:
    assert rendering.one(text + "\n", NAMES) == value


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("    {{ s | trim }}", "  one\n  two\nend\n"),
        ("    {{ s | trim | indent(4) }}", "  one\n  two\nend\n"),
        ("    {{ s | trim | indent(2) }}", "  one\n  two\nend\n"),
        ("    {{ s | indent(4) | trim }}", "  one\n  two\nend\n"),
        ("  {{ s | trim | indent(2) }}", "one\ntwo\nend\n"),
        ("  {{ s | trim }}", "one\ntwo\nend\n"),
        ("    {{ 'a\n\nb' }}", "  a\n\n  b\nend\n"),
        ("    x {{ s | trim }}", "  x one\ntwo\nend\n"),
        ("    {{ 'x' }}{{ s | trim }}", "  xone\ntwo\nend\n"),
        ("    {{ l | to_yaml | trim | indent(8) }}", "  - 1\n  - x: 2\nend\n"),
        ("    {{ s | trim | indent(2, true) }}", "    one\n    two\nend\n"),
    ],
)
def test_lines_of_a_value_in_a_block_scalar_stand_below_the_first(line: str, text: str) -> None:
    if line.startswith("    "):
        text = "first\n" + text
        line = "  first\n" + line
    assert rendering.one(f"a: |\n{line}\n  end\n", NAMES) == {"a": text}


def test_lines_of_a_value_in_a_block_scalar_are_bounded() -> None:
    with pytest.raises(errors.RenderError, match="too large"):
        rendering.one("a: |\n  x\n" + " " * 1000 + "{{ s }}\n", {"s": "\n".join(["x"] * 10_000)})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('a: "{% for x in l2 %}{{ x }}{{ "," if not loop.last }}{% endfor %}"', {"a": "1,2"}),
        ("a: {{ 'x' ~ ('y' if no) }}", {"a": "x"}),
        ("a: |\n  x{{ 1 if no }}", {"a": "x\n"}),
        ("a: {{ 1 if yes }}", {"a": 1}),
        ("a: {{ (1 if no) | default(2) }}", {"a": 2}),
        ("a: {{ empty | default(omit, true) }}\nb: 1", {"b": 1}),
        ("a: [{{ omit }}, {{ 1 }}, {{ omit }}]", {"a": [1]}),
        ("a: {{ {'x': omit, 'y': [1, omit]} }}", {"a": {"y": [1]}}),
    ],
)
def test_nothing_is_nothing_inside_a_string_and_omit_leaves_out(text: str, value: Any) -> None:
    assert rendering.one(text + "\n", {**NAMES, "l2": [1, 2]}) == value


@pytest.mark.parametrize(
    "text",
    ["a: {{ 1 if no }}", "a: [{{ 1 if no }}]", "a: {{ [1 if no] }}", "{{ 'a' if no }}: 1", "a:\n  b: {{ 'x' if no }}"],
)
def test_nothing_instead_of_a_value_says_write_an_else(text: str) -> None:
    with pytest.raises(errors.RenderError, match=r"an inline if without an else gave no value|a key must be a string"):
        rendering.one(text + "\n", NAMES)


@pytest.mark.parametrize("text", ["a: x{{ omit }}", "a: {{ 'x' ~ omit }}", "a: {{ omit | string }}"])
def test_omit_inside_a_string_is_refused(text: str) -> None:
    with pytest.raises(errors.RenderError, match="omit leaves a field or an item out"):
        rendering.one(text + "\n", NAMES)
