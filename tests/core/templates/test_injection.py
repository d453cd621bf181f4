"""No data can become structure: any value, in any position of a template, arrives exactly or is a named error."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lostromos_core import errors
from lostromos_core.templates.data import tokens
from tests.core.templates import rendering

if TYPE_CHECKING:
    from collections.abc import Callable

ENVIRONMENT = rendering.environment(
    part="in: {{ x }}\nafter: 1\n",
    lib="{% macro whole(x) %}\nin: {{ x }}\nafter: 1\n{% endmacro %}\n{% macro word(x) %}a{{ x }}b{% endmacro %}",
)

STRINGS: dict[str, tuple[str, Callable[[str], Any]]] = {  # position: (template, what it must become for the string x)
    "plain": ("v: {{ x }}\n", lambda x: {"v": x}),
    "double-quoted": ('v: "{{ x }}"\n', lambda x: {"v": x}),
    "single-quoted": ("v: '{{ x }}'\n", lambda x: {"v": x}),
    "mixed": ("v: pre-{{ x }}-post\n", lambda x: {"v": f"pre-{x}-post"}),
    "mixed twice": ('v: "{{ x }}/{{ x }}"\n', lambda x: {"v": f"{x}/{x}"}),
    "literal block": ("v: |\n  {{ x }}\n  end\n", lambda x: {"v": f"{x}\nend\n"}),
    "folded block": ("v: >-\n  {{ x }}\n", lambda x: {"v": x}),
    "flow sequence": ("v: [{{ x }}, 1]\n", lambda x: {"v": [x, 1]}),
    "flow mapping": ("v: {a: {{ x }}, b: 1}\n", lambda x: {"v": {"a": x, "b": 1}}),
    "sequence": ("v:\n  - {{ x }}\n  - 1\n", lambda x: {"v": [x, 1]}),
    "key": ("{{ x }}: v\n", lambda x: {x: "v"}),
    "quoted key": ('"{{ x }}": v\n', lambda x: {x: "v"}),
    "comment": ("v: 1 # {{ x }}\nw: 2\n", lambda _: {"v": 1, "w": 2}),
    "comment line": ("# {{ x }}\nv: 1\n", lambda _: {"v": 1}),
    "macro": ('{% from "lib.yaml" import whole %}\nv:\n  {{ whole(x) }}\n', lambda x: {"v": {"in": x, "after": 1}}),
    "macro word": ('{% from "lib.yaml" import word %}\nv: {{ word(x) }}\n', lambda x: {"v": f"a{x}b"}),
    "include": ('v:\n  {% include "part.yaml" %}\nw: 1\n', lambda x: {"v": {"in": x, "after": 1}, "w": 1}),
    "loop": ("v:\n  {% for i in [x, x] %}\n  - {{ i }}\n  {% endfor %}\n", lambda x: {"v": [x, x]}),
    "set block": ("{% set b %}a: {{ x }}{% endset %}\nv:\n  {{ b }}\n", lambda x: {"v": {"a": x}}),
    "filter block": ("v: {% filter trim %}{{ x }}{% endfilter %}\n", lambda x: {"v": x}),
    "call block": (
        "{% macro m() %}\nk: {{ caller() }}\n{% endmacro %}\nv:\n  {% call m() %}{{ x }}{% endcall %}\n",
        lambda x: {"v": {"k": x}},
    ),
}
YAMLISH = st.text(alphabet=st.sampled_from(list("\n\r\t :#-{}[]&*!|>'\"%@`,?~<=\\\u2028\x85\0ab01")), max_size=40)
ANY_STRING = st.one_of(
    st.text(), YAMLISH, st.text(st.characters(codec=None)), st.sampled_from(["yes", "0400", "~", "---", "..."])
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


NO_TEXT = re.compile(f"[{tokens.FIRST}-{tokens.LAST}\ud800-\udfff]")


def is_refused(value: Any) -> bool:
    """Whether nobody can send this to an API server: our own marks, halves of characters, numbers beyond 64 bits."""
    return has_large_number(value) or bool(NO_TEXT.search(json.dumps(value, ensure_ascii=False)))


def has_large_number(value: Any) -> bool:
    if isinstance(value, list | dict):
        return any(map(has_large_number, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and not -(1 << 63) <= value < 1 << 64


@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(ANY_STRING)
def test_any_string_arrives_exactly_in_every_position(x: str) -> None:
    for position, (template, expected) in STRINGS.items():
        if NO_TEXT.search(x):
            with pytest.raises(errors.RenderError, match=r"U\+(FDD0|D[89A-F])"):
                rendering.one(template, {"x": x}, within=ENVIRONMENT)
        else:
            assert rendering.one(template, {"x": x}, within=ENVIRONMENT) == expected(x), position


@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(JSON)
def test_any_json_value_arrives_exactly_as_a_whole_scalar(x: Any) -> None:
    cases: tuple[tuple[str, Callable[[Any], Any]], ...] = (
        ("v: {{ x }}\n", lambda d: d["v"]),
        ("v: [{{ x }}]\n", lambda d: d["v"][0]),
        ("- - {{ x }}\n", lambda d: d[0][0]),
    )
    for template, at in cases:
        if is_refused(x):
            with pytest.raises(errors.RenderError):
                rendering.one(template, {"x": x})
        else:
            found = at(rendering.one(template, {"x": x}))
            assert found == x
            assert json.dumps(found) == json.dumps(x)  # 1, 1.0 and true are equal to Python


@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(JSON)
def test_no_value_can_add_a_key_to_an_embedded_document(x: Any) -> None:
    text = "v: {% yaml %}\n  targets: [{{ x }}]\n  last: 1\n{% endyaml %}\nw: {% json %}\n  a: {{ x }}\n{% endjson %}\n"
    if is_refused(x):
        return
    found = rendering.one(text, {"x": x}, within=ENVIRONMENT)
    assert yaml.safe_load(found["v"]) == {"targets": [x], "last": 1}
    assert json.loads(found["w"]) == {"a": x}


@pytest.mark.parametrize("value", [[1], {"a": 1}, None])
def test_a_structure_inside_of_a_string_is_an_error_with_its_place(value: Any) -> None:
    with pytest.raises(errors.RenderError) as caught:
        rendering.one('a: 1\nb:\n  - c: "x{{ x.y }}"\n', {"x": {"y": value}})
    assert caught.value.place == "<template>:3"
    assert caught.value.message.startswith("b[0].c: ")
    assert caught.value.message.endswith("(from x.y)")


@pytest.mark.parametrize("value", [[1], {"a": 1}, None, 1, True])
def test_a_key_that_is_no_string_is_an_error_with_its_place(value: Any) -> None:
    with pytest.raises(errors.RenderError, match="a key must be a string") as caught:
        rendering.one("a:\n  {{ x }}: 1\n", {"x": value})
    assert caught.value.place == "<template>:2"


def test_two_keys_that_become_equal_are_an_error() -> None:
    with pytest.raises(errors.RenderError, match="is repeated"):
        rendering.one("{{ x }}: 1\na: 2\n", {"x": "a"})


def test_an_expression_in_a_tag_or_an_anchor_is_an_error() -> None:
    for text in ("v: !{{ x }} 1\n", "v: &{{ x }} 1\n", "v: *{{ x }}\n"):
        with pytest.raises(errors.RenderError):
            rendering.one(text, {"x": "a"})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, object(), print])
def test_what_json_has_no_word_for_is_an_error(value: Any) -> None:
    with pytest.raises(errors.RenderError):
        rendering.one("v: {{ x }}\n", {"x": value})


def test_deep_values_are_an_error_and_no_crash() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(errors.RenderError, match="deeper than"):
        rendering.one("v: {{ x }}\n", {"x": deep})


def test_deep_template_text_is_an_error_and_no_crash() -> None:
    with pytest.raises(errors.RenderError, match="deeper than"):
        rendering.one("v: " + "[" * 25_000 + "]" * 25_000 + "\n")


def test_a_rendering_never_sees_the_values_of_another() -> None:
    within = rendering.environment(lib="{% set top %}{{ 'fixed' }}{% endset %}{% macro m() %}{{ top }}{% endmacro %}")
    template = '{% import "lib.yaml" as lib %}\na: {{ x }}\nb: {{ lib.m() }}\n'
    for value in ("first", "second", "third"):
        assert rendering.one(template, {"x": value}, within=within) == {"a": value, "b": "fixed"}


def test_a_value_that_looks_like_a_token_is_refused() -> None:
    with pytest.raises(errors.RenderError):
        rendering.one("a: {{ x }}\nb: {{ y }}\n", {"x": tokens.token(1), "y": "secret"})
