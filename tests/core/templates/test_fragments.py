"""Fragments of several lines take the indentation of the place where they are called."""

from __future__ import annotations

from typing import Any

import pytest

from lostromos_core import errors
from tests.core.templates import rendering

LIBRARY = """\
{% macro two(x="1") %}
a: {{ x }}
b: two
{% endmacro %}
{% macro indented() %}
    a: 1
    b: two
{% endmacro %}
{% macro nested() %}
outer:
  {{ two() }}
  {% if true %}
  c: 3
  {% endif %}
{% endmacro %}
{% macro deep() %}
- name: x
  {{ nested() }}
{% endmacro %}
{% macro items(n) %}
{% for i in range(n) %}
- {{ i }}
{% endfor %}
{% endmacro %}
{% macro word() %}one{% endmacro %}
{% macro text() %}
first
  second
{% endmacro %}
{% macro wrap() %}
wrapped:
  {{ caller() }}
{% endmacro %}
{% macro nothing() %}
{% endmacro %}
"""
TWO = {"a": "1", "b": "two"}
NESTED = {"outer": {**TWO, "c": 3}}

CASES: dict[str, tuple[str, Any]] = {
    "in a mapping": ("v:\n  {{ two() }}\n", {"v": TWO}),
    "deep in a mapping": ("v:\n  w:\n      {{ two() }}\n", {"v": {"w": TWO}}),
    "beside other keys": ("v:\n  z: 0\n  {{ two() }}\n  c: 3\n", {"v": {"z": 0, **TWO, "c": 3}}),
    "after a key": ("v: {{ two() }}\nw: 1\n", {"v": TWO, "w": 1}),
    "after a key in a sequence": ("- v: {{ two() }}\n  w: 1\n", [{"v": TWO, "w": 1}]),
    "as an item": ("v:\n  - {{ two() }}\n  - 1\n", {"v": [TWO, 1]}),
    "as an item of an item": ("- - {{ two() }}\n", [[TWO]]),
    "indented macro": ("v:\n  {{ indented() }}\n  c: 3\n", {"v": {"a": 1, "b": "two", "c": 3}}),
    "nested macros": ("v:\n  {{ nested() }}\n", {"v": NESTED}),
    "three levels": ("v:\n  {{ deep() }}\n", {"v": [{"name": "x", **NESTED}]}),
    "a sequence": ("v:\n  {{ items(3) }}\n", {"v": [0, 1, 2]}),
    "a sequence after a key": ("v: {{ items(2) }}\n", {"v": [0, 1]}),
    "an include": ('v:\n  {% include "part.yaml" %}\n  c: 3\n', {"v": {"p": 1, "q": {**TWO, "r": 2}, "c": 3}}),
    "an include as an item": ('- {% include "part.yaml" %}\n- 1\n', [{"p": 1, "q": {**TWO, "r": 2}}, 1]),
    "an include after a key": ('v: {% include "part.yaml" %}\nw: 1\n', {"v": {"p": 1, "q": {**TWO, "r": 2}}, "w": 1}),
    "a set block": ("{% set x %}\na: 1\nb: 2\n{% endset %}\nv:\n    {{ x }}\n", {"v": {"a": 1, "b": 2}}),
    "a call block": (
        "v:\n  {% call wrap() %}\n  a: 1\n  b: 2\n  {% endcall %}\nw: 1\n",
        {"v": {"wrapped": {"a": 1, "b": 2}}, "w": 1},
    ),
    "indent as people write it": ("v:\n    {{ two() | indent(4) }}\n", {"v": TWO}),
    "indent with first": ("v:\n{{ two() | indent(2, first=true) }}\nw: 1\n", {"v": TWO, "w": 1}),
    "trim": ("v:\n  {{ two() | trim }}\nw: 1\n", {"v": TWO, "w": 1}),
    "in a loop": (
        "{% for k in ['x', 'y'] %}\n{{ k }}:\n  {{ two(k) }}\n{% endfor %}\n",
        {"x": {"a": "x", "b": "two"}, "y": {"a": "y", "b": "two"}},
    ),
    "one item after a key": ("v: {{ items(1) }}\nw: 1\n", {"v": [0], "w": 1}),
    "one pair after a key": ("{% set x %}\na: 1\n{% endset %}\nv: {{ x }}\nw: 1\n", {"v": {"a": 1}, "w": 1}),
    "one pair after a key, on one line": ("{% set x %}a: 1{% endset %}\n- v: {{ x }}\n", [{"v": {"a": 1}}]),
    "a word after a key": ("v: {{ word() }}\n", {"v": "one"}),
    "after a block scalar in an item": (
        "- n: |\n    t\n  e:\n  - {{ two() }}\n- 1\n",
        [{"n": "t\n", "e": [TWO]}, 1],
    ),
    "after a key after a block scalar in an item": ("- n: |\n    t\n  e: {{ two() }}\n", [{"n": "t\n", "e": TWO}]),
    "in a block scalar in an item": ("- n: |\n    {{ text() }}\n  e: 1\n", [{"n": "first\n  second\n", "e": 1}]),
    "in a block scalar that is an item": ("v:\n  - |\n   {{ text() }}\n  - 1\n", {"v": ["first\n  second\n", 1]}),
    "in a comment after a block scalar": ("- n: |\n    t\n  # {{ two() }}\n  w: 1\n", [{"n": "t\n", "w": 1}]),
    "after a comment that looks like a block scalar": ("v: # a |\n  # {{ two() }}\n  x: 1\n", {"v": {"x": 1}}),
    "after a text that ends like a block scalar": ("v: a |\nw:\n  {{ two() }}\n", {"v": "a |", "w": TWO}),
    "many on a line": ("v: [{% for i in range(3) %}{{ word() }}, {% endfor %}]\n", {"v": ["one"] * 3}),
    "in a literal block": ("v: |\n  top\n  {{ text() }}\n  end\n", {"v": "top\nfirst\n  second\nend\n"}),
    "after text in a literal block": ("v: |\n  k: {{ text() }}\nw: 1\n", {"v": "k: first\n  second\n", "w": 1}),
    "in a comment": ("v: 1\n# {{ two() }}\nw: 2\n", {"v": 1, "w": 2}),
    "one word": ("v: {{ word() }}-{{ word() }}\n", {"v": "one-one"}),
    "one word in quotes": ('v: "{{ word() }}:{{ word() }}"\n', {"v": "one:one"}),
    "nothing": ("v: {{ nothing() }}\nw: 1\n", {"v": None, "w": 1}),
    "nothing on its line": ("v:\n  a: 1\n  {{ nothing() }}\n  b: 2\n", {"v": {"a": 1, "b": 2}}),
    "as a condition": ("{% if nothing() %}\nv: 1\n{% elif word() %}\nv: 2\n{% endif %}\n", {"v": 2}),
    "twice the same": ("{% set x = two() %}\nv: {{ x }}\nw: {{ x }}\n", {"v": TWO, "w": TWO}),
}


@pytest.mark.parametrize("how", ["with context", "without context", "same file"])
@pytest.mark.parametrize("case", CASES)
def test_a_fragment_takes_the_indentation_of_its_place(case: str, how: str) -> None:
    text, expected = CASES[case]
    names = "two, indented, nested, deep, items, word, text, wrap, nothing"
    head = LIBRARY if how == "same file" else f'{{% from "lib.yaml" import {names} {how} %}}\n'
    part = '{% from "lib.yaml" import two %}\np: 1\nq:\n  {{ two() }}\n  r: 2\n'
    assert rendering.one(head + text, within=rendering.environment(lib=LIBRARY, part=part)) == expected


@pytest.mark.parametrize(
    "text",
    ["v: a {{ two() }}\n", 'v: "{{ two() }}"\n', "v: [{{ two() }}]\n", "v: {{ two() }} b\n", "v: 1 # {{ two() }}\n"],
)
def test_a_fragment_that_would_tear_a_line_apart_is_an_error(text: str) -> None:
    with pytest.raises(errors.RenderError, match="a line of its own"):
        rendering.one(LIBRARY + text)


@pytest.mark.parametrize(
    "expression",
    [
        "two() == 'x'",
        "two() ~ 'x'",
        "two() + 'x'",
        "'x' + two()",
        "two() | upper",
        "two() | length",
        "two()[0]",
        "two() | replace('a', 'b')",
        "two() | to_json",
        "two() | b64encode",
        "[two()]",
        "'a' in two()",
        "two() | list",
        "two() * 2",
        "two().split()",
        "two() | title",
    ],
)
def test_looking_into_a_fragment_is_an_error_that_says_why(expression: str) -> None:
    with pytest.raises(errors.RenderError, match=r"fragment|output of a macro"):
        rendering.one(LIBRARY + f"v: {{{{ {expression} }}}}\n")


def test_lines_with_control_tags_leave_no_line() -> None:
    text = "a: |\n  {% if true %}\n  x\n  {# a comment #}\n  {% for i in [1, 2] %}\n  {{ i }}\n  {% endfor %}\n  {% endif %}\n  y\n"
    assert rendering.one(text) == {"a": "x\n1\n2\ny\n"}


def test_several_tags_on_one_line_leave_no_line() -> None:
    text = "a: |\n  {% set x = 1 %} {% set y = 2 %}\n  {{ x }}{{ y }}\n"
    assert rendering.one(text) == {"a": "12\n"}


def test_a_tag_inside_of_a_line_keeps_the_line() -> None:
    assert rendering.one("a: x{% if true %}y{% endif %}z\nb: 1\n") == {"a": "xyz", "b": 1}


def test_raw_text_is_kept() -> None:
    assert rendering.one("a: |\n  {% raw %}{{ no }} {% include %}{% endraw %}\n  b\n") == {
        "a": "{{ no }} {% include %}\nb\n"
    }


@pytest.mark.parametrize(
    "text",
    [
        "{% set x %}5{% endset %}\nv: {{ x | int }}\n",
        "{% set x %}5{% endset %}\nv: {{ x | float }}\n",
        "{% set x %}a b{% endset %}\nv: {{ x | wordcount }}\n",
        "{% set x %}a b{% endset %}\nv: {{ x | urlencode }}\n",
        "{% set x %}a{% endset %}\nv: {{ x in {'a': 1} }}\n",
        "{% set x %}a{% endset %}\nv: {{ {'a': 1}[x] }}\n",
        "{% set x %}a{% endset %}\nv: {{ 'a b' | replace('a', x) }}\n",
    ],
)
def test_a_fragment_is_no_number_and_no_key(text: str) -> None:
    with pytest.raises(errors.RenderError, match="output of a macro"):
        rendering.one(text)


SECOND = "\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nz:\n  "


@pytest.mark.parametrize(
    "text",
    [
        "{% set f %}\nq: 1\n{% endset %}\nspec:\n  {{ f | indent(x, first=true) }}\n",
        "{% set f %}\nq: 1\n{% endset %}\nspec:\n  {{ f | indent(x) }}\n",
        "v:\n  {% filter indent(x, true) %}\n  a: 1\n  {% endfilter %}\n",
    ],
)
@pytest.mark.parametrize("x", [SECOND, "e: 1\n", "\t", "\u2028", "- ", 10**9, -(10**9), True, None, [1]])
def test_no_data_becomes_structure_by_an_indentation(text: str, x: Any) -> None:
    with pytest.raises(errors.RenderError, match="indent"):
        rendering.one(text, {"x": x})


def test_a_torn_line_is_named() -> None:
    with pytest.raises(errors.RenderError) as caught:
        rendering.one(LIBRARY + 'v: 1\nw: "{{ two() }}"\n')
    assert caught.value.place == f"<template>:{LIBRARY.count(chr(10)) + 2}"
