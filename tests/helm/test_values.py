"""Values: they reach the real Helm exactly, lie over a chart's defaults as with Helm, and are checked without being told."""

from __future__ import annotations

import base64
import json
import random
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lostromos_core import errors, interfaces
from lostromos_helm import values

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
VALUES = st.dictionaries(st.sampled_from("abcd"), JSON)


def seen_by_helm(helm: Path, folder: Path, defaults: Mapping[str, Any], given_: bytes) -> Any:
    """``.Values`` as a chart with these defaults sees them."""
    chart = folder / "app"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: app\nversion: 1.0.0\n")
    (chart / "values.yaml").write_text(json.dumps(defaults))
    (chart / "templates" / "x.yaml").write_text("seen: {{ .Values | toJson | b64enc }}\n")
    command = [str(helm), "template", "web", str(chart), "--values=-"]
    done = subprocess.run(command, input=given_, capture_output=True, check=True, timeout=60)
    return json.loads(base64.b64decode(done.stdout.partition(b"seen: ")[2]))


SPECIAL = [0, 1, 8, 9, 10, 13, 27, 32, 34, 39, 92, 126, *range(127, 161), 0xAD, 0x2028, 0x2029, 0xD7FF, 0xE000, 0xFDD0, 0xFEFF, 0xFFFD, 0xFFFE, 0xFFFF, 0x1F600, 0x10FFFF]  # fmt: skip
TEXTS = ["", "---\n...", "a: b", "- a", "#x", "{{ .Values }}", "0644", "yes", "null", "~", "1e3", "&x", "*x", "!!int 3", "%x", "@", "`", "<<", "k" * 900]  # fmt: skip


def test_every_text_reaches_helm_exactly_as_value_and_as_key(helm: Path, tmp_path: Path) -> None:
    texts = [
        *TEXTS,
        *(f"{before}{chr(code)}{after}" for code in SPECIAL for before, after in (("x", "y"), ("", ""), (" ", " "))),
    ]
    wanted = {"list": texts, "keys": {text: index for index, text in enumerate(texts)}, "<<": {"a": 1}}
    assert seen_by_helm(helm, tmp_path, {}, values.encode(wanted)) == wanted


def test_numbers_and_structure_reach_helm_exactly(helm: Path, tmp_path: Path) -> None:
    deep: dict[str, Any] = {}
    for _ in range(90):
        deep = {"a": deep}
    wanted = {
        "n": [0, -1, 1.5, 1e300, 1e-300, 123456789, 2**53, 1e21, 0.1],
        "b": [True, False, None, [], {}, [[]]],
        "deep": deep,
    }
    assert seen_by_helm(helm, tmp_path, {}, values.encode(wanted)) == wanted


def tree(dice: random.Random, depth: int) -> Any:
    """Any small tree, with many nulls."""
    if depth and dice.random() < 0.6:
        return {key: tree(dice, depth - 1) for key in "abc" if dice.random() < 0.7}
    return dice.choice([None, None, 1, "x", [], [None], {}, False])


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return value


def test_values_lie_over_defaults_as_with_helm(helm: Path, tmp_path: Path) -> None:
    """Helm 4 leaves out the nulls of defaults as well, which no value can tell."""
    dice = random.Random(1)
    defaults, over = ({f"c{number}": tree(dice, 3) for number in range(500)} for _ in range(2))
    seen = seen_by_helm(helm, tmp_path, defaults, values.encode(over))
    found = values.coalesce(defaults, over)
    is_four = seen_by_helm(helm, tmp_path / "four", {"a": {"b": None}}, b"{}") == {"a": {}}
    assert seen == found or is_four
    assert without_nulls(seen) == without_nulls(found)


@pytest.mark.parametrize(
    ("defaults", "over", "found"),
    [
        ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 4}}, {"a": 1, "b": {"c": 4, "d": 3}}),
        ({"a": 1}, {"a": None}, {}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({}, {"a": None}, {"a": None}),
        ({"a": {"b": 1}}, {"a": 3}, {"a": 3}),
        ({"a": 3}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
    ],
)
def test_null_removes_a_default_and_mappings_are_merged(defaults: Any, over: Any, found: Any) -> None:
    assert values.coalesce(defaults, over) == found


@given(VALUES)
def test_the_order_of_keys_makes_no_difference(tree: dict[str, Any]) -> None:
    assert values.encode(tree) == values.encode(dict(reversed(list(tree.items()))))
    assert json.loads(values.encode(tree)) == tree


@given(st.lists(st.binary()), st.lists(st.binary()))
def test_digests_tell_parts_apart_and_are_labels(one: list[bytes], other: list[bytes]) -> None:
    assert (values.digest(*one) == values.digest(*other)) is (one == other)
    assert len(values.digest(*one)) == 40


def test_a_digest_stays_the_same_from_version_to_version() -> None:
    """If it changed, every release of every user would get a new revision."""
    found = values.digest(b"chart", values.encode({"b": [1, None, True], "a": "ä"}))
    assert found == "711115e95b2dcb8426ab8efe2878618d81d8eb74"


@pytest.mark.parametrize("wrong", [{"a": 1 << 70}, {1: "a"}, {"a": object()}, {"a": "\ud800"}])
def test_what_json_cannot_say_is_an_error(wrong: Any) -> None:
    with pytest.raises(errors.RenderError, match="the values cannot be written as JSON"):
        values.encode(wrong)


def test_a_shape_is_keys_and_types() -> None:
    tree = {"a": "secret", "b": [1, {"c": 1.5}], "d": None, "e": True}
    assert values.shape(tree) == {"a": "str", "b": ["int", {"c": "float"}], "d": "NoneType", "e": "bool"}


@given(VALUES)
def test_a_shape_is_the_same_for_other_texts(tree: dict[str, Any]) -> None:
    assert values.shape(tree) == values.shape(json.loads(values.encode(tree)))
    assert values.shape({**tree, "z": "one"}) == values.shape({**tree, "z": "two"}) != values.shape({**tree, "z": 1})


class Fields:
    """Knows where each value comes from: the field of the resource's spec."""

    def locate(self, path: interfaces.Path) -> interfaces.Place | None:
        return interfaces.Place("", 0, "resource.spec." + ".".join(map(str, path)))


class Template:
    """Knows where each value comes from: one line of a template."""

    def locate(self, path: interfaces.Path) -> interfaces.Place | None:  # noqa: ARG002
        return interfaces.Place("values.yaml", 3, "vars.x")


def problem(schema: Any, tree: Mapping[str, Any], source: interfaces.Source | None = None) -> errors.RenderError | None:
    """What is said of values that do not fit."""
    try:
        values.check(schema, tree, interfaces.Values(tree, source=source))
    except errors.RenderError as error:
        return error
    return None


SECRET = "s3cr3t"
PROPERTIES = {
    "properties": {"a": {"type": "integer"}, "b": {"enum": ["x", "y"]}, "c": {"pattern": "^z"}, "d": {"maxLength": 2}}
}
DEEP = {"properties": {"l": {"items": {"properties": {"n": {"type": ["integer", "null"]}}}}}}
CLOSED = {"properties": {"image": {}}, "patternProperties": {"^x-": {}}, "additionalProperties": False}
SAID: dict[str, tuple[Any, Any, str]] = {
    "type": (PROPERTIES, {"a": SECRET}, "values.a: must be of type integer; see the chart's values.schema.json"),
    "one of types": (DEEP, {"l": [{"n": 1}, {"n": SECRET}]}, "values.l.1.n: must be of type integer or null; see"),
    "enum": (PROPERTIES, {"b": SECRET}, "values.b: must be one of x, y; see"),
    "pattern": (PROPERTIES, {"c": SECRET}, "values.c: breaks the rule pattern: ^z; see"),
    "length": (PROPERTIES, {"d": SECRET}, "values.d: breaks the rule maxLength: 2; see"),
    "const": ({"properties": {"a": {"const": 1}}}, {"a": SECRET}, "values.a: breaks the rule const: 1; see"),
    "required": ({"required": ["a", "b", "c"]}, {"a": SECRET}, "values.(the whole): needs b, c; see"),
    "required below": ({"properties": {"a": {"required": ["b"]}}}, {"a": {"c": SECRET}}, "values.a: needs b; see"),
    "unknown key": (CLOSED, {"imag": SECRET, "x-1": 1}, "values.(the whole): has unknown keys: imag; did you mean 'image'?; see"),
    "alternatives": ({"properties": {"a": {"anyOf": [{"type": "integer"}, {"maxLength": 1}]}}}, {"a": SECRET}, "values.a: breaks the rule anyOf"),
    "not": ({"properties": {"a": {"not": {"type": "string"}}}}, {"a": SECRET}, "values.a: breaks the rule not"),
    "unique": ({"properties": {"a": {"uniqueItems": True}}}, {"a": [SECRET, SECRET]}, "values.a: breaks the rule uniqueItems"),
    "a condition": ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": SECRET}, "values.(the whole): needs b; see"),
    "several": (PROPERTIES, {"b": SECRET, "a": SECRET, "c": SECRET}, "values.a: must be of type integer, and 2 more; see"),
    "draft 7": (
        {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"p": {"type": "integer"}}, "properties": {"a": {"$ref": "#/definitions/p"}}},
        {"a": SECRET}, "values.a: must be of type integer",
    ),
    "draft 7, items by place": (
        {"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": {"items": [{"type": "integer"}]}}}, {"a": [SECRET]}, "values.a.0: must be",
    ),
    "draft 2020-12": (
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": {"p": {"type": "integer"}}, "properties": {"a": {"$ref": "#/$defs/p"}}},
        {"a": SECRET}, "values.a: must be of type integer",
    ),
    "draft 2020-12, items by place": (
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "properties": {"a": {"prefixItems": [{"type": "integer"}]}}}, {"a": [SECRET]}, "values.a.0: must",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SAID)
def test_what_does_not_fit_is_named_and_its_value_is_not(case: str) -> None:
    schema, tree, said = SAID[case]
    found = problem(schema, tree)
    assert found is not None
    assert found.message.startswith(said)
    assert SECRET not in found.message
    assert found.message.endswith("see the chart's values.schema.json")


@given(VALUES)
def test_no_message_repeats_a_value(tree: dict[str, Any]) -> None:
    schema = {"additionalProperties": {"type": "array", "maxItems": 0}}
    found = problem(schema, {**tree, "a": SECRET, "b": {"x": SECRET}})
    assert found is not None
    assert SECRET not in found.message


def test_the_field_that_fed_a_value_is_named() -> None:
    found = problem(PROPERTIES, {"a": "x"}, Fields())
    assert found is not None
    assert found.message.startswith("values.a: must be of type integer (from resource.spec.a); ")
    assert found.place == ""
    found = problem(PROPERTIES, {"a": "x"}, Template())
    assert found is not None
    assert "(from vars.x)" in found.message
    assert found.place == "values.yaml:3"


LEFT: dict[str, Any] = {
    "a file": {"$ref": "file:///no/such.json"},
    "another server": {"$ref": "https://no.such.example/schema.json"},
    "a definition that is not there": {"$ref": "#/$defs/none"},
    "an unknown type": {"properties": {"a": {"type": "whatever"}}},
    "a rule of the wrong type": {"properties": {"a": {"minLength": "x"}}},
    "another kind of pattern": {"properties": {"a": {"pattern": r"^\p{L}+$"}}},
    "a circle": {"$ref": "#"},
    "a text": "text",
    "a list": [],
}


@pytest.mark.parametrize("case", LEFT)
def test_a_schema_that_we_cannot_read_is_left_to_helm(case: str) -> None:
    assert problem(LEFT[case], {"a": "x"}) is None


@pytest.mark.parametrize("schema", [{}, True, PROPERTIES, DEEP])
def test_what_fits_is_no_error(schema: Any) -> None:
    assert problem(schema, {"a": 1, "b": "x", "l": [{"n": None}, {"n": 2}], "d": "ab"}) is None


def test_nulls_of_defaults_fit_since_helm_4_leaves_them_out() -> None:
    schema = {"properties": {"a": {"type": "integer"}, "b": {"properties": {"c": {"type": "string"}}}}}
    written: dict[str, Any] = {"b": {}}
    values.check(schema, values.coalesce({"a": None, "b": {"c": None}}, written), interfaces.Values(written))
    written = {"a": None}
    with pytest.raises(errors.RenderError, match=r"values\.a: must be of type integer"):
        values.check(schema, values.coalesce({}, written), interfaces.Values(written))
