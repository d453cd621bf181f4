"""An expression alone on its line, among keys or items: merged there, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from lostromos_core import errors
from tests.core.templates import rendering

NAMES = {
    "m": {"x": 1, "y": [2]},
    "n": {"z": {"a": 0}},
    "l": [1, {"x": 2}],
    "none": None,
    "s": "x: 1\ny: 2\n",
    "empty": {},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a:\n  k: 1\n  {{ m }}\n", {"a": {"k": 1, "x": 1, "y": [2]}}),
        ("a:\n  {{ m }}\n  k: 1\n", {"a": {"k": 1, "x": 1, "y": [2]}}),
        ("a:\n  k: 1\n  {{ m }}\nb: 2\n", {"a": {"k": 1, "x": 1, "y": [2]}, "b": 2}),
        (
            "a:\n  k:\n    d: 1\n  {{ m }}\n  {{ n }}\n  e: 1\n",
            {"a": {"k": {"d": 1}, "x": 1, "y": [2], "z": {"a": 0}, "e": 1}},
        ),
        ("k: 1\n{{ m }}\n", {"k": 1, "x": 1, "y": [2]}),
        ("a:\n  - 0\n  {{ l }}\n", {"a": [0, 1, {"x": 2}]}),
        ("a:\n  {{ l }}\n  - 0\n", {"a": [1, {"x": 2}, 0]}),
        ("a:\n- 0\n{{ l }}\nb: 1\n", {"a": [0, 1, {"x": 2}], "b": 1}),
        ("a:\n  - k: 1\n    {{ m }}\n  - 3\n", {"a": [{"k": 1, "x": 1, "y": [2]}, 3]}),
        ("a:\n  - k: 1\n  {{ l }}\n  - 3\n", {"a": [{"k": 1}, 1, {"x": 2}, 3]}),
        ("a:\n  # c\n\n  {{ m }}\n\n  # c\n  k: 1\n", {"a": {"k": 1, "x": 1, "y": [2]}}),
        ("a:\n  k: |\n    text\n    {{ 1 }}\n  {{ m }}\n", {"a": {"k": "text\n1\n", "x": 1, "y": [2]}}),
        ("a:\n  'k: 1': 1\n  {{ m }}\n", {"a": {"k: 1": 1, "x": 1, "y": [2]}}),
        ("a:\n  {{ 'k' }}: 1\n  {{ m | to_nice_yaml | indent(2) }}\n", {"a": {"k": 1, "x": 1, "y": [2]}}),
        ("a:\n  - 0\n  {{ l | to_yaml | trim | indent(2) }}\n", {"a": [0, 1, {"x": 2}]}),
        ("a:\n  k: 1\n  {{ s | from_yaml }}\n", {"a": {"k": 1, "x": 1, "y": 2}}),
        ("a:\n  k: 1\n  {{ empty }}\n", {"a": {"k": 1}}),
        ("a:\n  k: 1\n  {{ none | default({}, true) }}\n", {"a": {"k": 1}}),
        ("a:\n  k: 1\n  {{ m if none }}\n", {"a": {"k": 1}}),
        ("a:\n  k: 1\n  {{ omit }}\n", {"a": {"k": 1}}),
        ("a:\n  k: {{ 1 }}\n  {{ m }}  \n", {"a": {"k": 1, "x": 1, "y": [2]}}),
        ("a:\n  k: {% yaml %}\n    b: 1\n    {{ m }}\n  {% endyaml %}\n", {"a": {"k": 'b: 1\nx: 1\n"y":\n- 2\n'}}),
        ("{% macro p() %}\nk: 1\n{{ m }}\n{% endmacro %}\na:\n  {{ p() }}\n", {"a": {"k": 1, "x": 1, "y": [2]}}),
    ],
)
def test_a_value_is_put_among_keys_or_items(text: str, value: Any) -> None:
    names = NAMES if "macro" not in text else {}
    within = rendering.environment()
    within.globals.update(NAMES if "macro" in text else {})
    assert rendering.one(text, names, within=within) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a:\n  {{ m }}\n", {"a": {"x": 1, "y": [2]}}),
        ("a:\n  {{ m }}\nb: 1\n", {"a": {"x": 1, "y": [2]}, "b": 1}),
        ("a: |\n  k: 1\n  {{ 1 }}\n", {"a": "k: 1\n1\n"}),
        ("a: [\n  1,\n  {{ l }}\n]\n", {"a": [1, [1, {"x": 2}]]}),
        ('a: "b: 1\n  {{ 1 }}\n  c: 1"\n', {"a": "b: 1 1 c: 1"}),
        ("a: b\n  {{ 1 }}\n", {"a": "b 1"}),
    ],
)
def test_what_yaml_has_a_word_for_keeps_its_meaning(text: str, value: Any) -> None:
    assert rendering.one(text, NAMES) == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a:\n  x: 0\n  {{ m }}\n", "twice"),
        ("a:\n  {{ m }}\n  x: 0\n", "repeated"),
        ("a:\n  b: 0\n  {{ m }}\n  {{ m }}\n", "twice"),
        ("a:\n  b: 0\n  {{ l }}\n", "an expression among keys must be a mapping, not a list"),
        ("a:\n  - 0\n  {{ m }}\n", "an expression among items must be a list, not a mapping"),
        ("a:\n  b: 0\n  {{ none }}\n", r"default\({}, true\)"),
        ("a:\n  - 0\n  {{ none }}\n", r"default\(\[\], true\)"),
        ("a:\n  b: 0\n  {{ s }}\n", r"\| from_yaml"),
        ("a:\n  b: 0\n  {{ 'x' }}\n", "must be a mapping, not a string"),
        ("a:\n  b: 0\n  {{ s | indent(2) }}\n", r"\| from_yaml"),
    ],
)
def test_what_does_not_fit_is_refused_at_its_line(text: str, says: str) -> None:
    with pytest.raises(errors.RenderError, match=says) as caught:
        rendering.one(text, NAMES)
    assert caught.value.place in {"<template>:3", "<template>:4"}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (
            "a:\n  k: 1\n{{ m | to_yaml | indent(2, true) }}\nb: 1\n",
            3,
            r"in the column of the keys around it, without \| indent",
        ),
        ("a:\n  - 1\n  {{ l | to_yaml | indent(4, first=true) }}\n", 3, "in the column of the items around it"),
        ("a:\n  k: 1\n    {{ m }}\nb: 1\n", 3, "among keys or items, in their column"),
        ("a:\n- b\n- c\n  {{ l }}\n", 4, "among keys or items, in their column"),
        ("a:\n  k: 1\n {{ m }}\nb: 1\n", 3, "not valid YAML"),
        ("a:\n  b: 1\n  {{ m }} {{ m }}\n", 3, "not valid YAML"),
        ("a:\n  b: 1\n  x{{ m }}\n  c: 1\n", 3, "not valid YAML"),
    ],
)
def test_an_expression_in_another_column_is_refused_at_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(errors.RenderError, match=says) as caught:
        rendering.one(text, NAMES)
    assert caught.value.place == f"<template>:{line}"


def test_a_field_that_was_put_in_leads_back_to_its_expression() -> None:
    text = "a:\n  - 0\n  {{ l }}\n  - k: 1\n    {{ m }}\n"
    (document,) = rendering.documents(text, NAMES)
    assert str(document.locate(("a", 2, "x"))) == "<template>:3"
    assert str(document.locate(("a", 3, "y", 0))) == "<template>:5"
    assert str(document.locate(("a", 3, "k"))) == "<template>:4"
