"""Filters and tests that people know from Ansible and Helm."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lostromos_core import errors
from lostromos_core.templates.data import budget
from tests.core.templates import rendering

NAMES = {
    "yaml": 'a.example.com/x: one\nb: "2"\nlist: [1, {c: true}]\n',
    "json": '{"a": [1, null, "x"]}',
    "m": {"a": 1, "b": {"c": 1}},
    "n": {"b": {"d": 2}},
    "nothing": None,
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("yaml | from_yaml", {"a.example.com/x": "one", "b": "2", "list": [1, {"c": True}]}), ("'' | from_yaml", None), ("m | from_yaml", {"a": 1, "b": {"c": 1}}), ("'- 1\n- a' | from_yaml", [1, "a"]),
        ("json | from_json", {"a": [1, None, "x"]}), ("'3' | from_json", 3), ("(m | to_json | from_json) == m", True), ("(m | to_nice_yaml | from_yaml) == m", True),
        ("'yes' | bool", True), ("'False' | bool", False), ("0 | bool", False), ("nothing | bool", False), ("true | bool", True), ("'' | bool", False),
        ("true | ternary('a', 'b')", "a"), ("'' | ternary('a', 'b')", "b"), ("nothing | ternary(1, 2, 3)", 3), ("m | quote", {"a": 1, "b": {"c": 1}}), ("8080 | quote", 8080),
        ("m | combine(n)", {"a": 1, "b": {"d": 2}}), ("m | combine(n, recursive=true)", {"a": 1, "b": {"c": 1, "d": 2}}), ("m | combine(n, {'a': 2})", {"a": 2, "b": {"d": 2}}), ("[m, n] | combine", {"a": 1, "b": {"d": 2}}),
        ("[1, 2] | zip(['a', 'b']) | list", [[1, "a"], [2, "b"]]), ("[1, 2] | zip([3])", [[1, 3]]), ("{'a': 1} | dict2items", [{"key": "a", "value": 1}]), ("{'a': 1} | dict2items('name', 'v')", [{"name": "a", "v": 1}]),
        ("[{'key': 'a', 'value': 1}] | items2dict", {"a": 1}), ("m | dict2items | items2dict == m", True), ("'/a/b.yaml' | basename", "b.yaml"), ("'/a/b.yaml' | dirname", "/a"), ("'b.tar.gz' | splitext", ["b.tar", ".gz"]),
        ("'a' | sha1", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"), ("'a' | checksum", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"), ("'a' | hash('md5')", "0cc175b9c0f1b6a831c399e269772661"),
        ("'1.10' is version('1.9', '>=')", True), ("'1.2.0' is version('1.2')", True), ("'1.2-rc1' is version('1.2', '<')", True), ("'v4.12.3' is version('4.13', 'lt')", True), ("1.5 is version('1.5', 'ne')", False),
        ("{'a': 1} | to_nice_json", '{\n    "a": 1\n}'), ("{'a': {'b': 1}} | to_nice_yaml", "a:\n    b: 1\n"), ("{'a': {'b': 1}} | to_nice_yaml(indent=2, width=1337, sort_keys=false)", "a:\n  b: 1\n"),
    ],
)  # fmt: skip
def test_filters_and_tests(expression: str, value: Any) -> None:
    assert rendering.one(
        f"data:\n  v: {{{{ {json.dumps(expression)[1:-1].replace(chr(92) + chr(34), chr(34))} }}}}\n", NAMES
    ) == {"data": {"v": value}}


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("'a: [secret' | from_yaml", r"from_yaml: the text is not YAML .*line 1"), ("'a: &x secret\\nb: *x' | from_yaml", "no aliases"), ("'secret: yes' | from_yaml", "in quotes"), ("'a: secret\\na: secret' | from_yaml", "repeated keys"),
        ("'--- secret\\n---\\nsecret' | from_yaml", "one document"), ("'secret' | from_json", "not JSON"), ("'{\"secret\": 1, \"secret\": 2}' | from_json", "repeats a key"), ("'[NaN]' | from_json", "not JSON"), ("'secret' | bool", "bool takes"),
        ("nothing | combine({})", r"default\({}, true\)"), ("'secret' | combine({})", "combine takes mappings"), ("{} | combine({}, list_merge='append')", "recursive=true"), ("nothing | dict2items", "takes a mapping, but got null"),
        ("['secret'] | items2dict", "mappings with key and value"), ("'a' | hash('secret')", "hash takes one of"), ("'1' is version('2', 'secret')", "version compares with"), ("nothing | basename", "null cannot be part"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_without_its_value(expression: str, says: str) -> None:
    with pytest.raises(errors.RenderError, match=says) as caught:
        rendering.one(f"v: {{{{ {expression} }}}}\n", NAMES)
    assert "secret" not in caught.value.message


YAML_BOMBS = {
    "flow": "[" * 25_000, "dashes": "- " * 20_000, "questions": "? " * 20_000, "aliases": "a: &a [x, x]\nb: [*a, *a, *a]\n", "items": "- a\n" * 200_000, "keys": "".join(f"k{i}: v\n" for i in range(100_000)), "documents": "---\n" * 200_000,
    "flow items": "[" + "a," * 500_000 + "]", "flow keys": "[" * 80 + "a: b, " * 20_000, "lines": "a\n" * 800_000, "tag": "!!python/object/apply:os.system [id]", "merge": "a: {<<: {b: 1}}", "marks": "a: \ufdd7",
}  # fmt: skip
JSON_BOMBS = {
    "deep": "[" * 100_000,
    "lists": "[" + "[]," * 600_000 + "[]]",
    "mappings": "[" + '{"a": 1},' * 300_000 + "{}]",
    "digits": "1" * 5_000,
    "marks": '"\\ufdd7"',
    "half": '"\\ud800"',
    "large": "1" * 30,
}


@pytest.mark.parametrize(
    ("filter_", "name"), [("from_yaml", name) for name in YAML_BOMBS] + [("from_json", name) for name in JSON_BOMBS]
)
def test_a_text_cannot_take_time_or_memory_or_more_than_data(filter_: str, name: str) -> None:
    text = (YAML_BOMBS if filter_ == "from_yaml" else JSON_BOMBS)[name]
    with budget.rendering() as used:
        try:
            found = rendering.one(f"v: {{{{ x | {filter_} }}}}\n", {"x": text})["v"]
        except errors.RenderError:
            pass
        else:
            assert name in {"items", "keys", "lines"}
            assert len(found) > 1_000
    assert used._steps <= budget.MAX_STEPS + budget.AT_ONCE


def test_what_from_yaml_makes_is_data_and_no_structure() -> None:
    text = "a:\n  {{ x | from_yaml }}\nb: {{ x }}\n"
    evil = "kind: ClusterRole\n'---': 1\n"
    assert rendering.one(text, {"x": evil}) == {"a": {"kind": "ClusterRole", "---": 1}, "b": evil}


@pytest.mark.parametrize(
    "expression",
    ["range(90000) | zip(range(90000), range(90000), range(90000)) | zip(range(90000)) | list", "big | dict2items | dict2items", "range(3000) | map('combine', big) | list", "big | combine(big, recursive=true) | combine(big)",
     "range(2000) | map('zip', big) | list", "range(100000) | map('hash', 'sha512') | list", "[texts] | map('join') | map('sha1') | map('basename') | list"],
)  # fmt: skip
def test_nothing_escapes_the_budget(expression: str) -> None:
    names = {"big": {f"k{number}": {"a": number} for number in range(20_000)}, "texts": ["x" * 1_000] * 20_000}
    with budget.rendering() as used:
        said = rendering.refusal(lambda: rendering.one(f"v: {{{{ ({expression}) | length }}}}\n", names))
    assert said is None or any(part in said for part in ("for this resource", "takes", "too"))
    assert used._made < 2 * budget.MAX_MADE


def test_the_digest_of_a_fragment_changes_with_its_text_and_its_values_and_with_nothing_else() -> None:
    def digest(text: str, **names: Any) -> str:
        block = f"{{% set conf %}}\n{text}\n{{% endset %}}"
        found: str = rendering.one(f"{block}\na: {{{{ 1 }}}}\nv: {{{{ conf | sha256 }}}}\n", names)["v"]
        return found

    first = digest("listen {{ x }};", x=1)
    assert digest("listen {{ x }};", x=1) == first == digest("{# a comment #}listen {{ x + 0 }};", x=1)
    others = [
        digest("listen {{ x }};", x="1"),
        digest("listen {{ x }};", x=2),
        digest("listen  {{ x }};", x=1),
        digest("listen 1;", x=1),
        digest("listen {{ x }}{{ x }};", x=1),
        digest('listen ["1"];', x=1),
    ]
    assert len({first, *others}) == 7


def test_the_digest_of_an_included_file_and_of_a_macro() -> None:
    within = rendering.environment(conf="a {{ x }}\nb\n")
    text = "{% set c %}{% include 'conf.yaml' %}{% endset %}\n{% macro m(x) %}{{ x }}{% endmacro %}\na: {{ c | sha1 }}\nb: {{ m(1) | checksum }}\nc: |\n  {{ c }}\n"
    found = rendering.one(text, {"x": 1}, within=within)
    assert len(found["a"]) == len(found["b"]) == 40
    assert found["c"] == "a 1\nb\n"
